/// `atoll pack`: brings a model into the kernels' layout on disk, or checks such a pack, and says how far it is.
///
/// What a pack is, and how it is written, is [io.atoll.model.pack]'s business. Start with [PackCommand].
package io.atoll.cli.pack;
