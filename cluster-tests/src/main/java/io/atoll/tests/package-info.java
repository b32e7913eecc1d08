/// placeholder
package io.atoll.tests;
