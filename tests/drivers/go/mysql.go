package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

// What an error of any driver says, with its codes.
func tell(err error) string {
	var my *mysql.MySQLError
	var one *pq.Error
	var other *pgconn.PgError
	switch {
	case errors.As(err, &my):
		return fmt.Sprintf("%d %s %s", my.Number, my.SQLState, my.Message)
	case errors.As(err, &one):
		return fmt.Sprintf("%s %s %s %s %s %s %s %s", one.Severity, one.Code, one.Message, one.Detail, one.Hint, one.Position, one.Table, one.Constraint)
	case errors.As(err, &other):
		return fmt.Sprintf("%s %s %s %s %s %d %s %s", other.Severity, other.Code, other.Message, other.Detail, other.Hint, other.Position, other.TableName, other.ConstraintName)
	}
	return strings.ReplaceAll(err.Error(), "\n", " | ")
}

func openMysql(more func(*mysql.Config)) *sql.DB {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.DBName = user, password, "tcp", host+":"+port, database
	config.Logger = &mysql.NopLogger{}
	if more != nil {
		more(config)
	}
	pool := sql.OpenDB(with(mysql.NewConnector(config)))
	pool.SetMaxOpenConns(4)
	return pool
}

// A pool of one connection, so that what is set stays.
func withMysql(more func(*mysql.Config), work func(pool *sql.DB)) {
	pool := openMysql(more)
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	work(pool)
}

func mysqlCases() {
	test("login", func() {
		withMysql(nil, func(pool *sql.DB) { rows(pool, "SELECT 1 + 1, DATABASE(), @@autocommit") })
		for _, wrong := range []func(*mysql.Config){
			func(config *mysql.Config) { config.Passwd = "wrong" },
			func(config *mysql.Config) { config.User = "nobody" },
			func(config *mysql.Config) { config.DBName = "no_such_database" },
		} {
			withMysql(wrong, func(pool *sql.DB) { say(tell(pool.Ping())) })
		}
		withMysql(func(config *mysql.Config) { config.DBName = "" }, func(pool *sql.DB) { rows(pool, "SELECT DATABASE()") })
	})

	test("tls and compression", func() {
		authorities := x509.NewCertPool()
		authorities.AppendCertsFromPEM(with(os.ReadFile(ca)))
		must(mysql.RegisterTLSConfig("matrix", &tls.Config{RootCAs: authorities, ServerName: "localhost"}))
		for _, more := range []func(*mysql.Config){
			func(config *mysql.Config) { config.TLSConfig = "matrix" },
			func(config *mysql.Config) { must(config.Apply(mysql.EnableCompression(true))) },
			func(config *mysql.Config) {
				config.TLSConfig = "matrix"
				must(config.Apply(mysql.EnableCompression(true)))
			},
		} {
			withMysql(more, func(pool *sql.DB) {
				rows(pool, "SELECT REPEAT('x', 300000)")
				rows(pool, "SELECT LENGTH(?)", strings.Repeat("y", 400_000))
			})
		}
	})

	for _, interpolate := range []bool{false, true} {
		test(fmt.Sprintf("every type, interpolated %v", interpolate), func() {
			set := func(config *mysql.Config) { config.InterpolateParams, config.ParseTime = interpolate, true }
			withMysql(set, func(pool *sql.DB) {
				exec(pool, "DELETE FROM kinds")
				for _, one := range []struct {
					column string
					values []any
				}{
					{"tiny", []any{-128, true}}, {"big", []any{int64(-1 << 63)}}, {"big_unsigned", []any{uint64(1<<64 - 1)}},
					{"decimal_", []any{"12345678901234567890.1234567890"}}, {"float_", []any{1.5}}, {"double_", []any{-1e300, 5e-324}},
					{"date_", []any{time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)}}, {"time_", []any{"-838:59:00", "01:01:01.000005"}},
					{"datetime_", []any{time.Date(2024, 2, 29, 23, 59, 59, 999999000, time.UTC)}}, {"year_", []any{2155}},
					{"varchar_", []any{"", "it's \"quoted\" \\ and\n\tmore\x00", "😀 中文"}}, {"varbinary_", []any{[]byte{}, []byte("\x00\xff'\\")}},
					{"text_", []any{strings.Repeat("é", 30_000)}}, {"blob_", []any{make([]byte, 70_000)}}, {"set_", []any{"a,c"}},
					{"json_", []any{`{"a": [1, {"b": null}]}`}}, {"latin_", []any{"äöü"}}, {"bit_", []any{[]byte{1, 85}}},
				} {
					for _, value := range append(one.values, nil) {
						exec(pool, "INSERT INTO kinds (id, "+one.column+") VALUES (?, ?)", 1, value)
						rows(pool, "SELECT "+one.column+" FROM kinds WHERE id = ?", 1)
						exec(pool, "DELETE FROM kinds WHERE id = ?", 1)
					}
				}
			})
		})
	}

	test("transactions", func() {
		pool := openMysql(nil)
		defer pool.Close()
		exec(pool, "DELETE FROM accounts")
		for _, level := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelReadCommitted, sql.LevelSerializable} {
			transaction := with(pool.BeginTx(context.Background(), &sql.TxOptions{Isolation: level}))
			exec(transaction, "INSERT INTO accounts (id) VALUES (?), (?)", 10*int(level)+1, 10*int(level)+2)
			rows(transaction, "SELECT COUNT(*), @@tx_isolation FROM accounts")
			if level == sql.LevelReadCommitted {
				must(transaction.Rollback())
			} else {
				must(transaction.Commit())
			}
		}
		reading := with(pool.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true}))
		exec(reading, "DELETE FROM accounts")
		must(reading.Rollback())
		rows(pool, "SELECT id FROM accounts ORDER BY id")
		exec(pool, "DELETE FROM accounts")
	})

	test("errors", func() {
		withMysql(nil, func(pool *sql.DB) {
			exec(pool, "INSERT INTO accounts (id) VALUES (1)")
			for _, text := range []string{
				"SELEC 1", "SELECT * FROM no_such_table", "SELECT x FROM accounts", "INSERT INTO accounts (id) VALUES (1)",
				"INSERT INTO kinds (id, tiny) VALUES (1, 'x')", "SELECT 1; SELECT 2", "SELECT (SELECT 1 UNION SELECT 2)", "", "-- nothing",
			} {
				exec(pool, text)
				_, err := pool.Prepare(text)
				if err != nil {
					say("prepare", tell(err))
				}
			}
			rows(pool, "SELECT seq, IF(seq < 200, 1, (SELECT 1 UNION SELECT seq)) FROM seq_1_to_300 WHERE seq > 195")
			exec(pool, "DELETE FROM accounts")
		})
	})

	test("prepared statements", func() {
		withMysql(nil, func(pool *sql.DB) {
			statement := with(pool.Prepare("SELECT ? + 1, CONCAT(?, 'x')"))
			for n := range 10 {
				var sum float64
				var text sql.NullString
				var given any = n
				if n%4 == 3 {
					given = nil
				}
				must(statement.QueryRow(n, given).Scan(&sum, &text))
				say(sum, text)
			}
			must(statement.Close())
			insert := with(pool.Prepare("INSERT INTO accounts (id, owner, balance) VALUES (?, ?, ?)"))
			for n := range 300 {
				with(insert.Exec(n, fmt.Sprint("o", n), float64(n)/4))
			}
			must(insert.Close())
			rows(pool, "SELECT COUNT(*), SUM(balance), MAX(id) FROM accounts")
			rows(pool, "SELECT id, owner FROM accounts WHERE id IN (?, ?) ORDER BY id", 3, 30)
			exec(pool, "DELETE FROM accounts")
		})
	})

	test("several statements", func() {
		set := func(config *mysql.Config) { config.MultiStatements = true }
		withMysql(set, func(pool *sql.DB) {
			rows(pool, "SELECT 1 AS a; SET @x = 5; SELECT @x AS b, 2 AS c; SELECT 'a;b'")
			exec(pool, "SET @y = 1; INSERT INTO accounts (id) VALUES (1), (2); DELETE FROM accounts")
			rows(pool, "SELECT 1; SELECT * FROM no_such_table; SELECT 3")
			rows(pool, "SELECT @x, @y")
		})
	})

	test("settings of the connection", func() {
		set := func(config *mysql.Config) {
			config.Collation = "cp1257_bin"
			config.Params = map[string]string{"time_zone": "'+05:00'", "sql_mode": "'ANSI_QUOTES'"}
		}
		withMysql(set, func(pool *sql.DB) {
			rows(pool, "SELECT @@collation_connection, @@time_zone, @@sql_mode")
			rows(pool, `SELECT "code" FROM currencies ORDER BY 1`)
		})
	})

	test("files", func() {
		mysql.RegisterReaderHandler("lines", func() io.Reader { return strings.NewReader(strings.Repeat("7;seven\n", 20_000)) })
		withMysql(nil, func(pool *sql.DB) {
			exec(pool, "CREATE OR REPLACE TABLE go_loaded (id INT, name VARCHAR(20))")
			exec(pool, "LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE go_loaded FIELDS TERMINATED BY ';'")
			rows(pool, "SELECT COUNT(*), SUM(id), MAX(name) FROM go_loaded")
			exec(pool, "LOAD DATA LOCAL INFILE 'no-such-file' INTO TABLE go_loaded")
			rows(pool, "SELECT 1")
			exec(pool, "DROP TABLE go_loaded")
		})
	})

	test("large values", func() {
		set := func(config *mysql.Config) { config.MaxAllowedPacket = 0 }
		withMysql(set, func(pool *sql.DB) {
			exec(pool, "DELETE FROM kinds")
			for id, size := range []int{1 << 16, 1<<24 - 40, 17_000_000} {
				exec(pool, "INSERT INTO kinds (id, long_blob) VALUES (?, ?)", id, make([]byte, size))
				rows(pool, "SELECT LENGTH(long_blob), long_blob FROM kinds WHERE id = ?", id)
			}
			exec(pool, "DELETE FROM kinds")
		})
	})

	test("pool", func() {
		pool := openMysql(nil)
		defer pool.Close()
		var group sync.WaitGroup
		wrong := make([]bool, 40)
		for number := range wrong {
			group.Add(1)
			go func() {
				defer group.Done()
				connection, err := pool.Conn(context.Background())
				if err != nil {
					wrong[number] = true
					return
				}
				defer connection.Close()
				var found int
				_, set := connection.ExecContext(context.Background(), "SET @mine = ?", number)
				read := connection.QueryRowContext(context.Background(), "SELECT @mine").Scan(&found)
				wrong[number] = set != nil || read != nil || found != number
			}()
		}
		group.Wait()
		say(fmt.Sprint(wrong))
	})
}
