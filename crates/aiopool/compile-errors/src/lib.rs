//! Nothing: this package is the tests of what the compiler says to a user of `aiopool`.
