/// What `config.json` and `generation_config.json` say, as records that cannot hold a model this program would
/// compute wrongly: an unknown variant is refused with the file, the field and the value
/// ([io.atoll.model.config.ConfigException]). Knows no tensors and no tokens. Start with
/// [io.atoll.model.config.ModelConfig]; read [io.atoll.model.checkpoint] next.
package io.atoll.model.config;
