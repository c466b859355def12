//! The shop: the demo's database, in both dialects. Tables in `tables`, rows in `rows`, the way in in `load`.

mod cells;
mod load;
mod rows;
mod tables;

pub use load::{LoadError, Login, create_database, load};
pub use rows::{Sizes, statements};
pub use tables::{ShopPlacement, ShopTable, TABLES};

/// Name of the logical database, and of the physical one on every shard.
pub const DATABASE: &str = "shop";
