//! Tests of reading, checking and comparing configurations.
