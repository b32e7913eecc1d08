/// Predicting what a set of machines will do, before there are any: `atoll plan`.
package io.atoll.cli.plan;
