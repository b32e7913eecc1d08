/// What crosses a process: the generated stubs of `src/main/proto`, and the one table of errors, [ErrorCode].
///
/// `wire` beside it holds the data plane's messages. Knows nothing of models, kernels or scheduling.
package io.atoll.proto;
