/// How the nodes of a cluster know each other: certificates and keys in PEM files, which are followed while a process runs.
///
/// Knows the JDK's TLS types and nothing of gRPC or Netty: whoever listens or connects takes the key and trust managers from here.
/// Making certificates is the business of `atoll certs`. Start with [NodeCertificates].
package io.atoll.cluster.security;
