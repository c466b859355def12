package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
)

func address(more string) string {
	return fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=disable %s", host, port, user, password, database, more)
}

// What both drivers do by the interface of database/sql.
func shared(name string) {
	open := func(more string, work func(pool *sql.DB)) {
		pool := with(sql.Open(name, address(more)))
		defer pool.Close()
		pool.SetMaxOpenConns(1)
		work(pool)
	}

	test("login", func() {
		open("", func(pool *sql.DB) { rows(pool, "SELECT 1 + 1, current_database(), current_user") })
		open("application_name=mine", func(pool *sql.DB) { rows(pool, "SHOW application_name") })
		for _, wrong := range []string{"password=wrong", "user=nobody", "dbname=no_such_database"} {
			open(wrong, func(pool *sql.DB) {
				err := pool.Ping()
				var one *pgconn.PgError
				if errors.As(err, &one) {
					say(one.Severity, one.Code, one.Message)
				} else {
					say(tell(err))
				}
			})
		}
		open("sslmode=verify-full sslrootcert="+ca, func(pool *sql.DB) { rows(pool, "SELECT repeat('x', 300000)") })
	})

	test("every type", func() {
		open("", func(pool *sql.DB) {
			exec(pool, "DELETE FROM kinds")
			for _, one := range []struct {
				column string
				values []any
			}{
				{"small", []any{-32768}}, {"int_", []any{2147483647}}, {"big", []any{int64(-1 << 63)}}, {"numeric_", []any{"123456789012345678901234567890.123456789", "NaN"}},
				{"real_", []any{1.5}}, {"double_", []any{-1e300, 5e-324}}, {"bool_", []any{true, false}}, {"varchar_", []any{"", "it's \\ \"q\"\n\t", "😀"}},
				{"bytea_", []any{[]byte{}, make([]byte, 70_000)}}, {"date_", []any{time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)}},
				{"timestamp_", []any{time.Date(2024, 2, 29, 1, 2, 3, 4000, time.UTC)}}, {"uuid_", []any{"00000000-0000-0000-0000-000000000005"}},
				{"json_", []any{"[1, {}]"}}, {"jsonb_", []any{`{"a": [1, null, "€"]}`}}, {"inet_", []any{"10.0.0.1/8"}}, {"int4range_", []any{"[1,5)"}},
				{"text_array", []any{`{a,"b,\"c\"",NULL,""}`}}, {"interval_", []any{"1 day 02:03:04"}},
			} {
				for _, value := range append(one.values, nil) {
					exec(pool, "INSERT INTO kinds (id, "+one.column+") VALUES ($1, $2)", 1, value)
					rows(pool, "SELECT "+one.column+" FROM kinds WHERE id = $1", 1)
					exec(pool, "DELETE FROM kinds WHERE id = 1")
				}
			}
		})
	})

	test("transactions", func() {
		pool := with(sql.Open(name, address("")))
		defer pool.Close()
		exec(pool, "DELETE FROM accounts")
		for _, level := range []sql.IsolationLevel{sql.LevelDefault, sql.LevelRepeatableRead, sql.LevelSerializable} {
			transaction := with(pool.BeginTx(context.Background(), &sql.TxOptions{Isolation: level}))
			exec(transaction, "INSERT INTO accounts (id) VALUES ($1), ($2)", 10*int(level)+1, 10*int(level)+2)
			rows(transaction, "SELECT count(*), current_setting('transaction_isolation') FROM accounts")
			if level == sql.LevelRepeatableRead {
				must(transaction.Rollback())
			} else {
				must(transaction.Commit())
			}
		}
		reading := with(pool.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true}))
		exec(reading, "DELETE FROM accounts")
		exec(reading, "SELECT 1")
		must(reading.Rollback())
		failed := with(pool.Begin())
		exec(failed, "SELECT 1 / 0")
		say(tell(fmt.Errorf("commit: %w", failed.Commit())))
		rows(pool, "SELECT id FROM accounts ORDER BY id")
		exec(pool, "DELETE FROM accounts")
	})

	test("errors", func() {
		open("", func(pool *sql.DB) {
			exec(pool, "INSERT INTO accounts (id) VALUES ($1)", 1)
			for _, text := range []string{
				"SELEC 1", "SELECT * FROM no_such_table", "SELECT x FROM accounts", "INSERT INTO accounts (id) VALUES (1)", "SELECT 'x'::int", "SELECT 1 / 0", "",
				"DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h', TABLE = 't'; END $$",
			} {
				exec(pool, text)
				rows(pool, text)
			}
			rows(pool, "SELECT $1::int / $2", 1, 0)
			rows(pool, "SELECT n, 1 / (3 - n) FROM generate_series(1, 5) n WHERE n > $1", 0)
			exec(pool, "DELETE FROM accounts")
		})
	})

	test("prepared statements", func() {
		open("", func(pool *sql.DB) {
			statement := with(pool.Prepare("INSERT INTO accounts (id, owner, balance) VALUES ($1, $2, $3)"))
			for n := range 300 {
				with(statement.Exec(n, fmt.Sprint("o", n), float64(n)/4))
			}
			must(statement.Close())
			rows(pool, "SELECT count(*), sum(balance), max(id) FROM accounts")
			rows(pool, "SELECT id, owner FROM accounts WHERE id IN ($1, $2) ORDER BY id", 3, 30)
			exec(pool, "DROP TABLE IF EXISTS go_changing")
			exec(pool, "CREATE TABLE go_changing (a int)")
			exec(pool, "INSERT INTO go_changing VALUES (1)")
			look := with(pool.Prepare("SELECT * FROM go_changing WHERE a = $1"))
			say(with(look.Exec(1)).RowsAffected())
			exec(pool, "ALTER TABLE go_changing ADD b text")
			_, err := look.Exec(1)
			say(err != nil)
			must(look.Close())
			exec(pool, "DROP TABLE go_changing")
			exec(pool, "DELETE FROM accounts")
		})
	})

	test("end of patience", func() {
		open("", func(pool *sql.DB) {
			patience, enough := context.WithTimeout(context.Background(), time.Second)
			defer enough()
			_, err := pool.ExecContext(patience, "SELECT pg_sleep(60)")
			say(err != nil)
			rows(pool, "SELECT 'alive'")
		})
	})
}

func pqCases() {
	shared("postgres")

	test("copy", func() {
		pool := with(sql.Open("postgres", address("")))
		defer pool.Close()
		exec(pool, "DROP TABLE IF EXISTS pq_copied")
		exec(pool, "CREATE TABLE pq_copied (id int, name text)")
		transaction := with(pool.Begin())
		statement := with(transaction.Prepare(pq.CopyIn("pq_copied", "id", "name")))
		for n := range 3000 {
			with(statement.Exec(n, fmt.Sprint("name ", n)))
		}
		with(statement.Exec())
		must(statement.Close())
		must(transaction.Commit())
		rows(pool, "SELECT count(*), sum(id) FROM pq_copied")
		exec(pool, "DROP TABLE pq_copied")
	})

	test("notifications", func() {
		pool := with(sql.Open("postgres", address("")))
		defer pool.Close()
		listener := pq.NewListener(address(""), time.Second, time.Minute, nil)
		defer listener.Close()
		must(listener.Listen("pq_" + database))
		exec(pool, "SELECT pg_notify($1, 'hello')", "pq_"+database)
		heard := <-listener.Notify
		say(heard.Channel, heard.Extra)
		must(listener.Ping())
		must(listener.UnlistenAll())
	})

	test("several statements", func() {
		pool := with(sql.Open("postgres", address("")))
		defer pool.Close()
		rows(pool, "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; SELECT 3 AS d")
		exec(pool, "INSERT INTO accounts (id) VALUES (1); DELETE FROM accounts")
		rows(pool, "SELECT 1; SELECT 1 / 0; SELECT 3")
	})
}

// A connection of pgx itself, closed at the end.
func withPgx(more func(*pgx.ConnConfig), work func(on context.Context, connection *pgx.Conn)) {
	on, enough := context.WithTimeout(context.Background(), time.Minute)
	defer enough()
	config := with(pgx.ParseConfig(address("")))
	if more != nil {
		more(config)
	}
	connection := with(pgx.ConnectConfig(on, config))
	defer connection.Close(on)
	work(on, connection)
}

func collected(found pgx.Rows, err error) {
	if err != nil {
		say("error", tell(err))
		return
	}
	defer found.Close()
	for found.Next() {
		values := with(found.Values())
		say(fmt.Sprint(values...))
	}
	if err := found.Err(); err != nil {
		say("error", tell(err))
	}
	say(found.CommandTag().String())
}

func pgxCases() {
	shared("pgx")

	modes := map[string]pgx.QueryExecMode{
		"prepared": pgx.QueryExecModeCacheStatement, "described": pgx.QueryExecModeCacheDescribe, "described each time": pgx.QueryExecModeDescribeExec,
		"exec": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol,
	}
	for _, name := range []string{"prepared", "described", "described each time", "exec", "simple"} {
		test("statements "+name, func() {
			set := func(config *pgx.ConnConfig) {
				config.DefaultQueryExecMode = modes[name]
				config.StatementCacheCapacity, config.DescriptionCacheCapacity = 8, 8
			}
			withPgx(set, func(on context.Context, connection *pgx.Conn) {
				with(connection.Exec(on, "DELETE FROM accounts"))
				for n := range 40 {
					tag, err := connection.Exec(on, fmt.Sprintf("INSERT INTO accounts (id, owner) VALUES ($1, $2) /* %d */", n%20), n, fmt.Sprint("o", n))
					say(tag.String(), err)
				}
				collected(connection.Query(on, "SELECT id, owner FROM accounts WHERE id = $1", 7))
				collected(connection.Query(on, "SELECT count(*) FROM accounts"))
				collected(connection.Query(on, "SELECT 10 / $1::int", 0))
				collected(connection.Query(on, "SELECT * FROM no_such_table WHERE id = $1", 0))
				batch := &pgx.Batch{}
				for n := range 30 {
					batch.Queue("UPDATE accounts SET balance = $1 WHERE id = $2 RETURNING id", n, n)
				}
				results := connection.SendBatch(on, batch)
				for range 30 {
					collected(results.Query())
				}
				say(results.Close())
				failing := &pgx.Batch{}
				failing.Queue("DELETE FROM accounts WHERE id = $1", 1)
				failing.Queue("SELECT 10 / $1::int", 0)
				failing.Queue("DELETE FROM accounts WHERE id = $1", 2)
				say(tell(connection.SendBatch(on, failing).Close()))
				collected(connection.Query(on, "SELECT count(*), sum(balance) FROM accounts"))
				with(connection.Exec(on, "DELETE FROM accounts"))
			})
		})
	}

	test("copy", func() {
		withPgx(nil, func(on context.Context, connection *pgx.Conn) {
			with(connection.Exec(on, "DROP TABLE IF EXISTS pgx_copied"))
			with(connection.Exec(on, "CREATE TABLE pgx_copied (id int, name text, at timestamptz)"))
			data := make([][]any, 5000)
			for n := range data {
				data[n] = []any{n, fmt.Sprint("name ", n), time.Unix(int64(n), 0)}
			}
			say(connection.CopyFrom(on, pgx.Identifier{"pgx_copied"}, []string{"id", "name", "at"}, pgx.CopyFromRows(data)))
			_, err := connection.CopyFrom(on, pgx.Identifier{"no_such_table"}, []string{"id"}, pgx.CopyFromRows(data))
			say(tell(err))
			collected(connection.Query(on, "SELECT count(*), sum(id) FROM pgx_copied"))
			with(connection.Exec(on, "DROP TABLE pgx_copied"))
		})
	})

	test("notifications", func() {
		withPgx(nil, func(on context.Context, one *pgx.Conn) {
			withPgx(nil, func(_ context.Context, two *pgx.Conn) {
				with(one.Exec(on, "LISTEN pgx_"+database))
				with(two.Exec(on, "SELECT pg_notify($1, 'hello')", "pgx_"+database))
				heard := with(one.WaitForNotification(on))
				say(heard.Channel, heard.Payload)
			})
		})
	})

	test("tls", func() {
		authorities := x509.NewCertPool()
		authorities.AppendCertsFromPEM(with(os.ReadFile(ca)))
		set := func(config *pgx.ConnConfig) {
			config.TLSConfig = &tls.Config{RootCAs: authorities, ServerName: "localhost"}
		}
		withPgx(set, func(on context.Context, connection *pgx.Conn) {
			collected(connection.Query(on, "SELECT length(repeat('x', 300000))"))
		})
	})

	test("pipelines", func() {
		withPgx(nil, func(on context.Context, connection *pgx.Conn) {
			pipeline := connection.PgConn().StartPipeline(on)
			pipeline.SendPrepare("one", "SELECT $1::int", nil)
			for n := range 5 {
				pipeline.SendQueryPrepared("one", [][]byte{fmt.Append(nil, n)}, nil, nil)
			}
			must(pipeline.Sync())
			pipeline.SendQueryParams("SELECT 1 / $1::int", [][]byte{[]byte("0")}, nil, nil, nil)
			pipeline.SendQueryPrepared("one", [][]byte{[]byte("9")}, nil, nil)
			must(pipeline.Sync())
			pipeline.SendQueryPrepared("one", [][]byte{[]byte("8")}, nil, nil)
			must(pipeline.Sync())
			for {
				found, err := pipeline.GetResults()
				if err != nil {
					say("error", tell(err))
					continue
				}
				if found == nil {
					break
				}
				switch found := found.(type) {
				case *pgconn.ResultReader:
					result := found.Read()
					say(fmt.Sprint(result.Rows), result.CommandTag.String(), result.Err)
				default:
					say(fmt.Sprintf("%T", found))
				}
			}
			must(pipeline.Close())
		})
	})

	test("pool", func() {
		on := context.Background()
		pool := with(pgxpool.New(on, address("pool_max_conns=4")))
		defer pool.Close()
		wrong := make(chan bool, 40)
		for number := range 40 {
			go func() {
				err := pool.AcquireFunc(on, func(connection *pgxpool.Conn) error {
					if _, err := connection.Exec(on, "SELECT set_config('my.number', $1, false)", fmt.Sprint(number)); err != nil {
						return err
					}
					var found string
					if err := connection.QueryRow(on, "SELECT current_setting('my.number')").Scan(&found); err != nil {
						return err
					}
					if found != fmt.Sprint(number) {
						return errors.New("another's")
					}
					return nil
				})
				wrong <- err != nil
			}()
		}
		for range 40 {
			if <-wrong {
				say("wrong")
			}
		}
		say("done")
	})
}
