/// JMH suites and end-to-end measurements, run by hand beside the claim they back.
///
/// Nothing uses this module. Compile it with `mvn -pl benchmarks -am package`, then start `org.openjdk.jmh.Main` on its class path with
/// `@scripts/jvm.args`; the forked processes inherit the flags. Begin with `kernels`.
package io.atoll.benchmarks;
