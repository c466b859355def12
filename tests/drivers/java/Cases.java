// The cases of Java's drivers, by the driver in the first argument: mysql (Connector/J), mariadb or postgresql; the pool is HikariCP.
//
// It is run against a server and against dbmesh; the lines are compared. So nothing may be printed that differs between two runs
// against one server: no time of day, no connection number, no address.

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;

public class Cases {
    static final String DRIVER_NAME = System.getProperty("driver");
    static final boolean POSTGRES = DRIVER_NAME.equals("postgresql");
    static final boolean MARIADB = DRIVER_NAME.equals("mariadb");
    static final Map<String, String> E = System.getenv();
    static final String DATABASE = E.get("DRIVERS_DATABASE");

    interface Work {
        void run() throws Exception;
    }

    interface On {
        void run(Connection connection) throws Exception;
    }

    static final Map<String, Work> CASES = new LinkedHashMap<>();

    static void test(String name, Work work) {
        CASES.put(name, work);
    }

    static void say(Object... values) {
        StringJoiner line = new StringJoiner("  ");
        for (Object value : values) line.add(shown(value));
        System.out.println(line);
    }

    static String digest(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(data));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static String shown(Object value) {
        if (value == null) return "null";
        if (value instanceof byte[] data) return data.length > 64 ? "b:" + data.length + ":" + digest(data) : "b:" + HexFormat.of().formatHex(data);
        if (value instanceof String text && text.length() > 200) return "s:" + text.length() + ":" + digest(text.getBytes(StandardCharsets.UTF_8));
        if (value instanceof int[] counts) return Arrays.toString(counts);
        return value.getClass().getSimpleName() + ":" + value.toString().replace('\n', '|');
    }

    static String url(String database, String more) {
        String parameters = POSTGRES ? "sslmode=disable" : MARIADB ? "sslMode=disable&allowPublicKeyRetrieval=true" : "sslMode=DISABLED&allowPublicKeyRetrieval=true&connectionTimeZone=UTC";
        return "jdbc:" + DRIVER_NAME + "://" + E.get("DRIVERS_HOST") + ":" + E.get("DRIVERS_PORT") + "/" + database + "?" + parameters + more;
    }

    static void session(String more, On work) throws Exception {
        try (Connection connection = DriverManager.getConnection(url(DATABASE, more), E.get("DRIVERS_USER"), E.get("DRIVERS_PASSWORD"))) {
            work.run(connection);
        }
    }

    static void attempt(Work work) throws Exception {
        try {
            work.run();
            say("no error");
        } catch (SQLException error) {
            String text = String.valueOf(error.getMessage()).split("\n")[0].replaceAll("\\(conn=-?\\d+\\) ", "");
            say(error.getClass().getSimpleName(), error.getErrorCode(), error.getSQLState(), text);
        }
    }

    static void said(ResultSet found) throws SQLException {
        ResultSetMetaData meta = found.getMetaData();
        int width = meta.getColumnCount();
        for (int n = 1; n <= width; n++) {
            say(meta.getColumnLabel(n), meta.getColumnTypeName(n), meta.getColumnType(n), meta.getPrecision(n), meta.getScale(n), meta.getTableName(n), meta.isNullable(n), meta.isAutoIncrement(n), meta.isSigned(n));
        }
        while (found.next()) {
            Object[] row = new Object[width];
            for (int n = 1; n <= width; n++) row[n - 1] = found.getObject(n);
            say(row);
        }
    }

    static void rows(Connection connection, String sql, Object... values) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < values.length; n++) statement.setObject(n + 1, values[n]);
            boolean result = statement.execute();
            while (true) {
                if (result) said(statement.getResultSet());
                else if (statement.getUpdateCount() == -1) break;
                else say("count", statement.getUpdateCount());
                result = statement.getMoreResults();
            }
        }
    }

    static void text(Connection connection, String sql) throws Exception {
        try (Statement statement = connection.createStatement()) {
            boolean result = statement.execute(sql);
            while (true) {
                if (result) said(statement.getResultSet());
                else if (statement.getUpdateCount() == -1) break;
                else say("count", statement.getUpdateCount());
                result = statement.getMoreResults();
            }
            for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
                say("warning", warning.getSQLState(), warning.getMessage());
            }
        }
    }

    // The variants in which a driver speaks differently with the server.
    static List<String> variants() {
        if (POSTGRES) return List.of("", "&prepareThreshold=1", "&preferQueryMode=simple", "&preferQueryMode=extendedForPrepared&binaryTransfer=false", "&reWriteBatchedInserts=true");
        if (MARIADB) return List.of("", "&useServerPrepStmts=true", "&rewriteBatchedStatements=true&useCompression=true", "&useServerPrepStmts=true&useBulkStmts=true");
        return List.of("", "&useServerPrepStmts=true&cachePrepStmts=true", "&rewriteBatchedStatements=true&useCompression=true", "&cacheServerConfiguration=true&useLocalSessionState=true&elideSetAutoCommits=true");
    }

    static void cases() {
        test("login", () -> {
            session("", connection -> {
                DatabaseMetaData meta = connection.getMetaData();
                say(meta.getDatabaseProductName(), meta.getDatabaseMajorVersion(), connection.getCatalog(), connection.getTransactionIsolation(), connection.isValid(5), connection.isReadOnly());
            });
            attempt(() -> DriverManager.getConnection(url(DATABASE, ""), E.get("DRIVERS_USER"), "wrong").close());
            attempt(() -> DriverManager.getConnection(url("no_such_database", ""), E.get("DRIVERS_USER"), E.get("DRIVERS_PASSWORD")).close());
        });

        test("tls", () -> {
            String ca = E.get("DRIVERS_CA");
            String tls = POSTGRES ? "&sslmode=verify-full&sslrootcert=" + ca : MARIADB ? "&sslMode=verify-full&serverSslCert=" + ca : "&sslMode=REQUIRED";
            session(tls, connection -> text(connection, "SELECT LENGTH(REPEAT('x', 300000))"));
        });

        for (String variant : variants()) {
            test(("rows " + variant).trim(), () -> session(variant, connection -> {
                text(connection, "DELETE FROM accounts");
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO accounts (id, owner, balance, note) VALUES (?, ?, ?, ?)")) {
                    for (int n = 1; n <= 300; n++) {
                        insert.setLong(1, n);
                        insert.setString(2, "owner " + n);
                        insert.setBigDecimal(3, BigDecimal.valueOf(n * 25L, 2));
                        insert.setCharacterStream(4, new StringReader("it's \\ €"));
                        insert.addBatch();
                    }
                    int[] counts = insert.executeBatch();
                    say(counts.length);
                    insert.clearBatch();
                    attempt(() -> {
                        for (int n : new int[] {301, 1, 302}) {
                            insert.setLong(1, n);
                            insert.setString(2, null);
                            insert.setInt(3, 0);
                            insert.setNull(4, Types.VARCHAR);
                            insert.addBatch();
                        }
                        insert.executeBatch();
                    });
                }
                rows(connection, "SELECT COUNT(*), SUM(balance), MAX(id) FROM accounts WHERE id <= ?", 300);
                for (int n = 0; n < 8; n++) rows(connection, "SELECT id, owner, balance, note FROM accounts WHERE id = ?", (long) n);
                rows(connection, "UPDATE accounts SET balance = balance + ? WHERE id = ?", new BigDecimal("1.50"), 5L);
                rows(connection, "SELECT id FROM accounts WHERE id < ? ORDER BY id DESC LIMIT 3", 50L);
                attempt(() -> rows(connection, "SELECT * FROM no_such_table WHERE id = ?", 1));
                attempt(() -> rows(connection, "INSERT INTO accounts (id) VALUES (?)", 1L));
                attempt(() -> text(connection, "SELEC 1"));
                rows(connection, "DELETE FROM accounts");
            }));

            test(("transactions " + variant).trim(), () -> session(variant, one -> session(variant, two -> {
                text(one, "DELETE FROM accounts");
                for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
                    one.setTransactionIsolation(level);
                    one.setAutoCommit(false);
                    rows(one, "INSERT INTO accounts (id) VALUES (?), (?)", 10L * level, 10L * level + 1);
                    Savepoint savepoint = one.setSavepoint("here");
                    rows(one, "DELETE FROM accounts WHERE id = ?", 10L * level);
                    one.rollback(savepoint);
                    rows(one, "SELECT COUNT(*) FROM accounts");
                    rows(two, "SELECT COUNT(*) FROM accounts");
                    if (level == Connection.TRANSACTION_REPEATABLE_READ) one.rollback();
                    else one.commit();
                    one.setAutoCommit(true);
                }
                one.setReadOnly(true);
                one.setAutoCommit(false);
                attempt(() -> rows(one, "DELETE FROM accounts"));
                one.rollback();
                one.setAutoCommit(true);
                one.setReadOnly(false);
                rows(one, "DELETE FROM accounts");
            })));

            test(("streams " + variant).trim(), () -> session(variant, connection -> {
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement()) {
                    statement.setFetchSize(POSTGRES || MARIADB ? 100 : Integer.MIN_VALUE);
                    long sum = 0;
                    String sql = POSTGRES ? "SELECT n, repeat('y', 200) FROM generate_series(1, 20000) n" : "SELECT seq, REPEAT('y', 200) FROM seq_1_to_20000";
                    try (ResultSet found = statement.executeQuery(sql)) {
                        while (found.next()) sum += found.getLong(1);
                    }
                    say(sum);
                }
                connection.rollback();
            }));
        }

        test("generated keys", () -> session("", connection -> {
            text(connection, "DELETE FROM numbered");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO numbered (label) VALUES (?), (?)", Statement.RETURN_GENERATED_KEYS)) {
                insert.setString(1, "a");
                insert.setString(2, "b");
                insert.executeUpdate();
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    int count = 0;
                    long first = 0;
                    while (keys.next()) {
                        if (count++ == 0) first = keys.getLong(1);
                        else say(keys.getLong(1) - first);
                    }
                    say(count);
                }
            }
            text(connection, "DELETE FROM numbered");
        }));

        test("metadata", () -> session("", connection -> {
            DatabaseMetaData meta = connection.getMetaData();
            try (ResultSet found = meta.getTables(connection.getCatalog(), connection.getSchema(), "%", new String[] {"TABLE", "BASE TABLE"})) {
                while (found.next()) {
                    String name = found.getString("TABLE_NAME");
                    if (List.of("accounts", "entries", "kinds", "currencies", "numbered").contains(name)) say(name, found.getString("TABLE_TYPE"), found.getString("REMARKS"));
                }
            }
            for (String table : new String[] {"accounts", "entries", "kinds"}) {
                try (ResultSet found = meta.getColumns(connection.getCatalog(), connection.getSchema(), table, "%")) {
                    while (found.next()) {
                        say(table, found.getString("COLUMN_NAME"), found.getInt("DATA_TYPE"), found.getString("TYPE_NAME"), found.getInt("COLUMN_SIZE"), found.getInt("DECIMAL_DIGITS"), found.getString("IS_NULLABLE"), found.getString("COLUMN_DEF"));
                    }
                }
                try (ResultSet found = meta.getPrimaryKeys(connection.getCatalog(), connection.getSchema(), table)) {
                    while (found.next()) say(table, found.getString("COLUMN_NAME"), found.getInt("KEY_SEQ"), found.getString("PK_NAME"));
                }
                try (ResultSet found = meta.getIndexInfo(connection.getCatalog(), connection.getSchema(), table, false, true)) {
                    while (found.next()) say(table, found.getString("INDEX_NAME"), found.getString("COLUMN_NAME"), found.getBoolean("NON_UNIQUE"));
                }
            }
        }));

        test("several statements", () -> {
            String more = POSTGRES ? "" : "&allowMultiQueries=true";
            session(more, connection -> {
                text(connection, "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; INSERT INTO accounts (id) VALUES (77); DELETE FROM accounts WHERE id = 77; SELECT 3 AS d");
                attempt(() -> text(connection, "SELECT 1; SELECT * FROM no_such_table; SELECT 3"));
                text(connection, "SELECT 4 AS e");
            });
        });

        test("timeout", () -> session("", connection -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                try {
                    statement.execute(POSTGRES ? "SELECT pg_sleep(60)" : "SELECT COUNT(*) FROM seq_1_to_100000000000");
                    say("no error");
                } catch (SQLException error) {
                    say(error.getClass().getSimpleName(), error.getSQLState());
                }
            }
            text(connection, "SELECT 'alive' AS a");
        }));

        test("routines", () -> session("", connection -> {
            if (POSTGRES) {
                text(connection, "CREATE OR REPLACE FUNCTION java_twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'");
                try (CallableStatement call = connection.prepareCall("{? = call java_twice(?)}")) {
                    call.registerOutParameter(1, Types.INTEGER);
                    call.setInt(2, 21);
                    call.execute();
                    say(call.getInt(1));
                }
                text(connection, "DROP FUNCTION java_twice(int)");
                return;
            }
            String name = "java_" + DRIVER_NAME;
            text(connection, "DROP PROCEDURE IF EXISTS " + name);
            text(connection, "CREATE PROCEDURE " + name + "(n INT, OUT twice INT) BEGIN SELECT n AS a; SET twice = 2 * n; END");
            try (CallableStatement call = connection.prepareCall("{call " + name + "(?, ?)}")) {
                call.setInt(1, 21);
                call.registerOutParameter(2, Types.INTEGER);
                if (call.execute()) said(call.getResultSet());
                say(call.getInt(2));
            }
            text(connection, "DROP PROCEDURE " + name);
        }));

        test("pool", () -> {
            HikariConfig config = new HikariConfig();
            config.setJdbcUrl(url(DATABASE, ""));
            config.setUsername(E.get("DRIVERS_USER"));
            config.setPassword(E.get("DRIVERS_PASSWORD"));
            config.setMaximumPoolSize(4);
            try (HikariDataSource pool = new HikariDataSource(config)) {
                ExecutorService workers = Executors.newFixedThreadPool(8);
                List<Future<Boolean>> done = new ArrayList<>();
                for (int n = 0; n < 60; n++) {
                    String mine = String.valueOf(n);
                    done.add(workers.submit(() -> {
                        try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
                            statement.execute(POSTGRES ? "SELECT set_config('my.number', '" + mine + "', false)" : "SET @mine = '" + mine + "'");
                            try (ResultSet found = statement.executeQuery(POSTGRES ? "SELECT current_setting('my.number')" : "SELECT @mine")) {
                                return found.next() && mine.equals(found.getString(1));
                            }
                        }
                    }));
                }
                boolean right = true;
                for (Future<Boolean> one : done) right &= one.get();
                workers.shutdown();
                say(right);
            }
        });
    }

    public static void main(String[] arguments) {
        cases();
        System.out.println("# " + DRIVER_NAME);
        for (Map.Entry<String, Work> one : CASES.entrySet()) {
            System.out.println("## " + one.getKey());
            try {
                one.getValue().run();
            } catch (Throwable error) {
                System.out.println(("fails: " + error).replace("\n", " | "));
                if (E.containsKey("DRIVERS_TRACE")) error.printStackTrace();
            }
        }
        System.out.println("# end");
        System.out.flush();
        System.exit(0);
    }
}
