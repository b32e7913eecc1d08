package io.atoll.coordinator.sequence;

final class ReasoningSplitter {
    private final StringBuilder held = new StringBuilder();
    private boolean in;
    private boolean trim;

    ReasoningSplitter(OutputFormat format) {
        in = format == OutputFormat.CHAT_REASONING;
    }

    boolean inReasoning() {
        return in;
    }

    GenerationEvent.Text append(String piece) {
        if (!in) {
            return content(piece);
        }
        held.append(piece);
        int at = held.indexOf("</think>");
        if (at >= 0) {
            in = false;
            trim = true;
            String r = held.substring(0, at);
            GenerationEvent.Text c = content(held.substring(at + 8));
            held.setLength(0);
            return new GenerationEvent.Text(r, c.content());
        }
        int keep = 0;
        for (int n = Math.min(7, held.length()); n > 0 && keep == 0; n--) {
            if ("</think>".startsWith(held.substring(held.length() - n))) {
                keep = n;
            }
        }
        String r = held.substring(0, held.length() - keep);
        held.delete(0, held.length() - keep);
        return new GenerationEvent.Text(r, "");
    }

    private GenerationEvent.Text content(String s) {
        if (trim) {
            s = s.replaceFirst("^\n+", "");
            trim = s.isEmpty();
        }
        return new GenerationEvent.Text("", s);
    }

    GenerationEvent.Text finish() {
        String r = held.toString();
        held.setLength(0);
        return new GenerationEvent.Text(r, "");
    }
}
