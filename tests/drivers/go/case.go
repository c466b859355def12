// Command cases runs the cases of Go's drivers of databases, by the driver in its first argument: mysql, pq or pgx.
//
// It is run against a server and against dbmesh; the lines are compared. So nothing may be printed that differs between two runs
// against one server: no time of day, no connection number, no address.
package main

import (
	"crypto/sha1"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

var (
	host     = os.Getenv("DRIVERS_HOST")
	port     = os.Getenv("DRIVERS_PORT")
	user     = os.Getenv("DRIVERS_USER")
	password = os.Getenv("DRIVERS_PASSWORD")
	database = os.Getenv("DRIVERS_DATABASE")
	// The certificate that signs the listener's own.
	ca = os.Getenv("DRIVERS_CA")
)

// One case: its name and what it does.
type entry struct {
	name string
	work func()
}

var cases []entry

func test(name string, work func()) {
	cases = append(cases, entry{name, work})
}

// One line of the answer.
func say(values ...any) {
	shownValues := make([]string, len(values))
	for i, value := range values {
		shownValues[i] = shown(value)
	}
	fmt.Println(strings.Join(shownValues, "  "))
}

// A value with its type, the same for equal values only.
func shown(value any) string {
	switch value := value.(type) {
	case nil:
		return "nil"
	case []byte:
		if len(value) > 64 {
			sum := sha1.Sum(value)
			return fmt.Sprintf("b:%d:%s", len(value), hex.EncodeToString(sum[:]))
		}
		return "b:" + hex.EncodeToString(value)
	case string:
		if len(value) > 200 {
			sum := sha1.Sum([]byte(value))
			return fmt.Sprintf("s:%d:%s", len(value), hex.EncodeToString(sum[:]))
		}
		return fmt.Sprintf("%q", value)
	case time.Time:
		return "t:" + value.Format(time.RFC3339Nano)
	case driver.Valuer:
		inner, err := value.Value()
		if err != nil {
			return err.Error()
		}
		return shown(inner)
	case error:
		return strings.ReplaceAll(value.Error(), "\n", " | ")
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			parts[i] = shown(part)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprintf("%T:%v", value, value)
}

// Ends a case that cannot go on.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func with[T any](value T, err error) T {
	must(err)
	return value
}

func run(name string) {
	fmt.Println("# " + name)
	for _, one := range cases {
		fmt.Println("## " + one.name)
		func() {
			defer func() {
				if failure := recover(); failure != nil {
					fmt.Println(strings.ReplaceAll(fmt.Sprintf("fails: %v", failure), "\n", " | "))
				}
			}()
			one.work()
		}()
	}
	fmt.Println("# end")
}

// What runs statements: a pool, a connection, a transaction.
type runner interface {
	Query(query string, args ...any) (*sql.Rows, error)
	Exec(query string, args ...any) (sql.Result, error)
}

// Says the rows of a statement, with their types.
func rows(on runner, query string, args ...any) {
	found, err := on.Query(query, args...)
	if err != nil {
		say("error", tell(err))
		return
	}
	defer found.Close()
	for {
		types := with(found.ColumnTypes())
		for _, column := range types {
			length, hasLength := column.Length()
			precision, scale, hasScale := column.DecimalSize()
			nullable, known := column.Nullable()
			say(column.Name(), column.DatabaseTypeName(), length, hasLength, precision, scale, hasScale, nullable, known)
		}
		for found.Next() {
			values := make([]any, len(types))
			into := make([]any, len(types))
			for i := range values {
				into[i] = &values[i]
			}
			must(found.Scan(into...))
			say(values)
		}
		if err := found.Err(); err != nil {
			say("error", tell(err))
		}
		if !found.NextResultSet() {
			return
		}
	}
}

func exec(on runner, query string, args ...any) {
	done, err := on.Exec(query, args...)
	if err != nil {
		say("error", tell(err))
		return
	}
	affected, err := done.RowsAffected()
	say("done", affected, err)
}

func main() {
	name := os.Args[1]
	switch name {
	case "mysql":
		mysqlCases()
	case "pq":
		pqCases()
	case "pgx":
		pgxCases()
	default:
		panic(name)
	}
	run(name)
}
