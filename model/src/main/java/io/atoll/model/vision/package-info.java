/// What a picture or a clip becomes before the model sees it (model specification G): its size, its patches, the pads that stand
/// for it in a prompt, and the three positions of each token. Takes plain pixels; how files are decoded, and what the tower
/// makes of patches, is not known here. Start with [io.atoll.model.vision.PictureProcessor]; read
/// [io.atoll.model.vision.VisualPrompt] next, then [io.atoll.model.reference.VisionTower].
package io.atoll.model.vision;
