CREATE TABLE products (
    id integer PRIMARY KEY,
    sku char(10) NOT NULL UNIQUE,
    name varchar(80) NOT NULL,
    category varchar(20) NOT NULL,
    price numeric(10,2) NOT NULL,
    weight double precision,
    available boolean NOT NULL DEFAULT true,
    details jsonb,
    added_on date NOT NULL
);
CREATE TABLE settings (
    name varchar(60) PRIMARY KEY,
    value text,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE customers (
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
CREATE INDEX customers_email ON customers (email);
CREATE TABLE orders (
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
CREATE INDEX orders_placed_at ON orders (placed_at);
CREATE TABLE order_items (
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
CREATE INDEX order_items_product ON order_items (product_id);
CREATE TABLE events (
    id bigserial PRIMARY KEY,
    kind varchar(20) NOT NULL,
    happened timestamptz NOT NULL DEFAULT now(),
    at timestamp,
    payload bytea,
    f4 real,
    f8 double precision,
    n numeric,
    i2 smallint,
    i4 integer,
    uid uuid,
    tags text[]
);
CREATE TABLE tenants (
    code varchar(10) NOT NULL,
    region int NOT NULL,
    title varchar(50) NOT NULL,
    PRIMARY KEY (code, region)
);
CREATE TABLE accounts (
    name text PRIMARY KEY,
    balance numeric(20,4) NOT NULL,
    email varchar(50) NOT NULL UNIQUE
);
CREATE TABLE days (d date PRIMARY KEY, n int);
CREATE TABLE moments (m timestamp(3) PRIMARY KEY, n int);
CREATE TABLE hashes (h uuid PRIMARY KEY, n int);
CREATE TABLE prices (p numeric(10,2) PRIMARY KEY, n int);
CREATE TABLE stamps (id int PRIMARY KEY, label varchar(20), changed timestamp DEFAULT now());
CREATE TABLE counters (id serial PRIMARY KEY, label varchar(20), n int);
CREATE TABLE audit (id int PRIMARY KEY, what text);
CREATE TABLE archive (id int PRIMARY KEY, what text);
CREATE TABLE other.orders (id int PRIMARY KEY, what text);
CREATE TABLE "Mixed" ("Id" int PRIMARY KEY, "Name" text);
CREATE TABLE members (
    id INT NOT NULL PRIMARY KEY,
    email VARCHAR(50) NOT NULL,
    nick VARCHAR(40),
    note VARCHAR(40),
    slug varchar(40) GENERATED ALWAYS AS (lower(nick)) STORED,
    UNIQUE (email),
    UNIQUE (id, note)
);
