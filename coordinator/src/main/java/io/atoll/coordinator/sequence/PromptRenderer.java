package io.atoll.coordinator.sequence;

import java.util.List;
import java.util.Map;

public interface PromptRenderer {
    String render(
            List<Map<String, Object>> messages,
            List<Map<String, Object>> tools,
            Map<String, Object> options);
}
