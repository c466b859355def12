//! Frozen vectors and the borders of certainty.
