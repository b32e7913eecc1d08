/// Which worker holds which expert. Pure; the hot path asks [ExpertShard] and nothing else.
package io.atoll.cluster.placement;
