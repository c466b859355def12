CREATE TABLE products (
    id INT NOT NULL PRIMARY KEY,
    sku CHAR(10) NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL,
    category VARCHAR(20) NOT NULL,
    price DECIMAL(10,2) NOT NULL,
    weight DOUBLE NULL,
    available TINYINT(1) NOT NULL DEFAULT 1,
    details JSON NULL,
    added_on DATE NOT NULL
) ENGINE=InnoDB;
CREATE TABLE settings (
    name VARCHAR(60) NOT NULL PRIMARY KEY,
    value TEXT NULL,
    changed_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB;
CREATE TABLE customers (
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
) ENGINE=InnoDB;
CREATE TABLE orders (
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
) ENGINE=InnoDB;
CREATE TABLE order_items (
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
) ENGINE=InnoDB;
CREATE TABLE events (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind VARCHAR(20) NOT NULL,
    happened TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    payload BLOB NULL,
    mark VARBINARY(32) NULL,
    f4 FLOAT NULL,
    f8 DOUBLE NULL,
    flags SET('a','b') NULL,
    at_time TIME(3) NULL,
    yr YEAR NULL,
    uid UUID NULL
);
CREATE TABLE tenants (
    code VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
    region INT NOT NULL,
    title VARCHAR(50) NOT NULL,
    PRIMARY KEY (code, region)
);
CREATE TABLE accounts (
    name VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    balance DECIMAL(20,4) NOT NULL,
    email VARCHAR(50) NOT NULL UNIQUE
);
CREATE TABLE days (d DATE NOT NULL PRIMARY KEY, n INT);
CREATE TABLE moments (m DATETIME(3) NOT NULL PRIMARY KEY, n INT);
CREATE TABLE hashes (h BINARY(16) NOT NULL PRIMARY KEY, n INT);
CREATE TABLE prices (p DECIMAL(10,2) NOT NULL PRIMARY KEY, n INT);
CREATE TABLE stamps (id INT PRIMARY KEY, label VARCHAR(20), changed DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
CREATE TABLE counters (id INT AUTO_INCREMENT PRIMARY KEY, label VARCHAR(20), n INT);
CREATE TABLE audit (id INT PRIMARY KEY, what TEXT);
CREATE TABLE archive (id INT PRIMARY KEY, what TEXT);
CREATE TABLE members (
    id INT NOT NULL PRIMARY KEY,
    email VARCHAR(50) NOT NULL,
    nick VARCHAR(40),
    note VARCHAR(40),
    slug VARCHAR(40) GENERATED ALWAYS AS (LOWER(nick)) STORED,
    UNIQUE (email),
    UNIQUE (id, note)
);
