/// Pictures and clips: their size and their patches, the pads that stand for them in a prompt, the three positions of each
/// token, and the tower that makes embeddings of patches (model specification G). Takes plain pixels; how files are decoded is not
/// known here. Start with [io.atoll.model.vision.PictureProcessor]; read [io.atoll.model.vision.VisionTower] and
/// [io.atoll.model.vision.VisualPrompt] next. [io.atoll.model.vision.VisualInput] is what a forward pass gets.
package io.atoll.model.vision;
