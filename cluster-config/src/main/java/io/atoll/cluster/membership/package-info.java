/// Which processes belong to a cluster now, and the few facts that outlive a coordinator.
///
/// Built on Hazelcast, which nothing outside of this package sees. It has no part in a token's path: streams notice a dead peer
/// themselves, and sooner. Knows nothing of experts; what it keeps is text. Start with [Membership].
package io.atoll.cluster.membership;
