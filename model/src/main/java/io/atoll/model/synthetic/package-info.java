/// Models with random weights and the sizes of a release, as GGUF files of the type mix that llama.cpp calls Q4_K_M: for measuring
/// a machine or a cluster without the real weights. [io.atoll.model.synthetic.SyntheticModel] puts the file together,
/// [io.atoll.model.synthetic.RandomBlocks] draws weights of a given size, and
/// [io.atoll.model.synthetic.SyntheticVocabulary] makes a byte-level vocabulary of as many entries as wanted. Knows the file
/// format only through [io.atoll.model.gguf.GgufWriter]. Start with [io.atoll.model.synthetic.SyntheticModel].
package io.atoll.model.synthetic;
