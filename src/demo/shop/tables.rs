//! The tables of the shop: how they are placed, and how each database creates them.

use crate::demo::servers::ServerKind;

/// Where a table's rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopPlacement {
    /// By the value of this column.
    Sharded(&'static str),
    /// A copy on every shard.
    Reference,
    /// On the first shard.
    Single,
}

/// A table of the shop.
#[derive(Debug, Clone, Copy)]
pub struct ShopTable {
    /// Its name.
    pub name: &'static str,
    /// Where its rows go.
    pub placement: ShopPlacement,
    /// Its columns, in the order rows are written.
    pub columns: &'static str,
    mysql: &'static str,
    postgres: &'static str,
}

impl ShopTable {
    /// The statements that create it.
    #[must_use]
    pub fn creation(&self, kind: ServerKind) -> &'static str {
        match kind {
            ServerKind::MariaDb => self.mysql,
            ServerKind::Postgres => self.postgres,
        }
    }
}

/// All tables, each after those it refers to. A customer's orders and their items live with the customer, so the
/// keys of `orders` and `order_items` begin with the shard key and foreign keys stay inside a shard.
pub const TABLES: [ShopTable; 5] = [
    ShopTable {
        name: "products",
        placement: ShopPlacement::Reference,
        columns: "id, sku, name, category, price, weight, available, details, added_on",
        mysql: "CREATE TABLE products (
            id INT NOT NULL PRIMARY KEY,
            sku CHAR(10) NOT NULL UNIQUE,
            name VARCHAR(80) NOT NULL,
            category VARCHAR(20) NOT NULL,
            price DECIMAL(10,2) NOT NULL,
            weight DOUBLE NULL,
            available TINYINT(1) NOT NULL DEFAULT 1,
            details JSON NULL,
            added_on DATE NOT NULL
        ) ENGINE=InnoDB",
        postgres: "CREATE TABLE products (
            id integer PRIMARY KEY,
            sku char(10) NOT NULL UNIQUE,
            name varchar(80) NOT NULL,
            category varchar(20) NOT NULL,
            price numeric(10,2) NOT NULL,
            weight double precision,
            available boolean NOT NULL DEFAULT true,
            details jsonb,
            added_on date NOT NULL
        )",
    },
    ShopTable {
        name: "settings",
        placement: ShopPlacement::Single,
        columns: "name, value, changed_at",
        mysql: "CREATE TABLE settings (
            name VARCHAR(60) NOT NULL PRIMARY KEY,
            value TEXT NULL,
            changed_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
        ) ENGINE=InnoDB",
        postgres: "CREATE TABLE settings (
            name varchar(60) PRIMARY KEY,
            value text,
            changed_at timestamptz NOT NULL DEFAULT now()
        )",
    },
    ShopTable {
        name: "customers",
        placement: ShopPlacement::Sharded("id"),
        columns: "id, token, name, email, city, country, birthday, credit, note, created_at",
        mysql: "CREATE TABLE customers (
            id BIGINT NOT NULL PRIMARY KEY,
            token BINARY(16) NOT NULL,
            name VARCHAR(80) NOT NULL,
            email VARCHAR(120) NOT NULL,
            city VARCHAR(60) NULL,
            country CHAR(2) NOT NULL,
            birthday DATE NULL,
            credit DECIMAL(12,2) NOT NULL DEFAULT 0,
            note TEXT NULL,
            created_at DATETIME(6) NOT NULL,
            KEY customers_email (email)
        ) ENGINE=InnoDB",
        postgres: "CREATE TABLE customers (
            id bigint PRIMARY KEY,
            token uuid NOT NULL,
            name varchar(80) NOT NULL,
            email varchar(120) NOT NULL,
            city varchar(60),
            country char(2) NOT NULL,
            birthday date,
            credit numeric(12,2) NOT NULL DEFAULT 0,
            note text,
            created_at timestamptz NOT NULL
        );
        CREATE INDEX customers_email ON customers (email)",
    },
    ShopTable {
        name: "orders",
        placement: ShopPlacement::Sharded("customer_id"),
        columns: "customer_id, id, status, placed_at, shipped_on, total, comment",
        mysql: "CREATE TABLE orders (
            customer_id BIGINT NOT NULL,
            id BIGINT NOT NULL,
            status VARCHAR(12) NOT NULL,
            placed_at DATETIME(6) NOT NULL,
            shipped_on DATE NULL,
            total DECIMAL(12,2) NOT NULL,
            comment TEXT NULL,
            PRIMARY KEY (customer_id, id),
            KEY orders_id (id),
            KEY orders_placed_at (placed_at),
            CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
        ) ENGINE=InnoDB",
        postgres: "CREATE TABLE orders (
            customer_id bigint NOT NULL REFERENCES customers (id),
            id bigint NOT NULL,
            status varchar(12) NOT NULL,
            placed_at timestamptz NOT NULL,
            shipped_on date,
            total numeric(12,2) NOT NULL,
            comment text,
            PRIMARY KEY (customer_id, id)
        );
        CREATE INDEX orders_id ON orders (id);
        CREATE INDEX orders_placed_at ON orders (placed_at)",
    },
    ShopTable {
        name: "order_items",
        placement: ShopPlacement::Sharded("customer_id"),
        columns: "customer_id, order_id, line, product_id, quantity, price, discount, gift",
        mysql: "CREATE TABLE order_items (
            customer_id BIGINT NOT NULL,
            order_id BIGINT NOT NULL,
            line INT NOT NULL,
            product_id INT NOT NULL,
            quantity INT NOT NULL,
            price DECIMAL(10,2) NOT NULL,
            discount DOUBLE NULL,
            gift TINYINT(1) NOT NULL DEFAULT 0,
            PRIMARY KEY (customer_id, order_id, line),
            KEY order_items_product (product_id),
            CONSTRAINT order_items_order FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
        ) ENGINE=InnoDB",
        postgres: "CREATE TABLE order_items (
            customer_id bigint NOT NULL,
            order_id bigint NOT NULL,
            line integer NOT NULL,
            product_id integer NOT NULL,
            quantity integer NOT NULL,
            price numeric(10,2) NOT NULL,
            discount double precision,
            gift boolean NOT NULL DEFAULT false,
            PRIMARY KEY (customer_id, order_id, line),
            FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
        );
        CREATE INDEX order_items_product ON order_items (product_id)",
    },
];
