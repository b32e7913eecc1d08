package io.atoll.model.vision;

import io.atoll.model.config.VisionTokens;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// A prompt with room for its pictures: each pad stands for one embedding (model specification G.3).
///
/// @param ids token ids, not copied
/// @param pictures runs of pads of still pictures, in the order of the pictures
/// @param slices runs of pads of clips' slices, in the order of the clips
public record VisualPrompt(int[] ids, List<VisualRun> pictures, List<VisualRun> slices) {
    private static final String CLIP = "<|vision_start|><|video_pad|><|vision_end|>";

    public VisualPrompt {
        pictures = List.copyOf(pictures);
        slices = List.copyOf(slices);
    }

    /// Gives every slice of every clip a group of its own in the text of a prompt, behind its time: this is done before the text is
    /// tokenized, since times are text.
    ///
    /// @param prompt as the chat template renders it: one group of a pad between start and end for each clip
    /// @throws VisionException if the prompt has another number of clips
    public static String withTimes(String prompt, List<Clip> clips) {
        StringBuilder result = new StringBuilder();
        int from = 0;
        for (int i = 0; i < clips.size(); i++) {
            int group = prompt.indexOf(CLIP, from);
            if (group < 0) {
                throw new VisionException(
                        "the prompt has places for " + i + " clips, there are " + clips.size());
            }
            result.append(prompt, from, group);
            for (int slice = 0; slice < clips.get(i).seconds().size(); slice++) {
                result.append(clips.get(i).timestamp(slice)).append(CLIP);
            }
            from = group + CLIP.length();
        }
        if (prompt.indexOf(CLIP, from) >= 0) {
            throw new VisionException(
                    "the prompt has places for more clips than there are: " + clips.size());
        }
        return result.append(prompt, from, prompt.length()).toString();
    }

    /// Repeats each pad as often as there are embeddings.
    ///
    /// @param ids one pad for each picture, and for each slice of a clip
    /// @param pictures grids of the still pictures, in their order
    /// @param clips grids of the clips
    /// @param maxTokens longest prompt
    /// @throws VisionException if the prompt has other pads, or becomes too long
    public static VisualPrompt expand(
            int[] ids,
            VisionTokens tokens,
            List<PatchGrid> pictures,
            List<PatchGrid> clips,
            int maxTokens) {
        List<PatchGrid> slices = new ArrayList<>();
        for (PatchGrid clip : clips) {
            for (int i = 0; i < clip.slices(); i++) {
                slices.add(clip);
            }
        }
        int picturePads = (int) Arrays.stream(ids).filter(id -> id == tokens.image()).count();
        int slicePads = (int) Arrays.stream(ids).filter(id -> id == tokens.video()).count();
        if (picturePads != pictures.size() || slicePads != slices.size()) {
            throw new VisionException(
                    "the prompt has places for "
                            + picturePads
                            + " pictures and "
                            + slicePads
                            + " slices of clips, there are "
                            + pictures.size()
                            + " and "
                            + slices.size());
        }
        long length = (long) ids.length - picturePads - slicePads;
        for (PatchGrid grid : pictures) {
            length += grid.sliceEmbeddings();
        }
        for (PatchGrid grid : slices) {
            length += grid.sliceEmbeddings();
        }
        if (length > maxTokens) {
            throw new VisionException(
                    "the prompt has " + length + " tokens with its pictures, at most " + maxTokens);
        }
        int[] expanded = new int[(int) length];
        List<VisualRun> pictureRuns = new ArrayList<>();
        List<VisualRun> sliceRuns = new ArrayList<>();
        int at = 0;
        for (int id : ids) {
            if (id != tokens.image() && id != tokens.video()) {
                expanded[at++] = id;
                continue;
            }
            boolean isPicture = id == tokens.image();
            List<VisualRun> runs = isPicture ? pictureRuns : sliceRuns;
            PatchGrid grid = (isPicture ? pictures : slices).get(runs.size());
            VisualRun run = new VisualRun(at, grid.mergedRows(), grid.mergedCols());
            runs.add(run);
            Arrays.fill(expanded, at, run.end(), id);
            at = run.end();
        }
        return new VisualPrompt(expanded, pictureRuns, sliceRuns);
    }

    /// The three positions of each token.
    public MropePositions positions() {
        List<VisualRun> runs = new ArrayList<>(pictures);
        runs.addAll(slices);
        runs.sort((a, b) -> Integer.compare(a.begin(), b.begin()));
        return new MropePositions(runs);
    }
}
