/// `atoll keys`: the API keys that a coordinator accepts.
package io.atoll.cli.keys;
