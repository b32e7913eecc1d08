/// The cluster file: one YAML file, read into records that cannot hold a bad value.
///
/// An unknown key, a wrong type or a value out of range stops the start with a [ConfigFileException] that names the file, the
/// line and the field. Every default is in these records; `ClusterFileTest` lists them. The API keys of a coordinator are a file of
/// their own, [ApiKeysFile]. Start with [ClusterFile].
package io.atoll.cluster.config;
