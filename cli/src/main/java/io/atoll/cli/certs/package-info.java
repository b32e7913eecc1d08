/// `atoll certs`: the authority of a cluster and the certificates of its nodes.
///
/// The only room of Bouncy Castle, since Java itself reads certificates but makes none. What a node does with them is in
/// `io.atoll.cluster.security`. Start with [CertificateAuthority].
package io.atoll.cli.certs;
