CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, owner VARCHAR(60), balance DECIMAL(14, 2) NOT NULL DEFAULT 0.00, note TEXT);
CREATE TABLE entries (account_id BIGINT NOT NULL, n INT NOT NULL, amount DECIMAL(14, 2), made DATETIME(6), PRIMARY KEY (account_id, n));
CREATE TABLE kinds (
    id BIGINT NOT NULL PRIMARY KEY,
    tiny TINYINT, tiny_unsigned TINYINT UNSIGNED, small SMALLINT, medium MEDIUMINT, int_ INT, int_unsigned INT UNSIGNED,
    big BIGINT, big_unsigned BIGINT UNSIGNED, decimal_ DECIMAL(30, 10), float_ FLOAT, double_ DOUBLE, bit_ BIT(9),
    date_ DATE, time_ TIME(6), datetime_ DATETIME(6), timestamp_ TIMESTAMP(6) NULL, year_ YEAR,
    char_ CHAR(10), varchar_ VARCHAR(255), binary_ BINARY(8), varbinary_ VARBINARY(300),
    text_ MEDIUMTEXT, blob_ MEDIUMBLOB, long_blob LONGBLOB,
    enum_ ENUM('small', 'large'), set_ SET('a', 'b', 'c'), json_ JSON, latin_ VARCHAR(20) CHARACTER SET latin1
);
CREATE TABLE currencies (code CHAR(3) NOT NULL PRIMARY KEY, name VARCHAR(40));
INSERT INTO currencies VALUES ('CHF', 'franc'), ('EUR', 'euro'), ('JPY', 'yen');
CREATE TABLE numbered (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, label VARCHAR(20));
