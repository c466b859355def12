"""The cases of SQLAlchemy, by the driver named in the first argument: reflection, its types, its unit of work."""

import datetime
import decimal
import sys

import sqlalchemy as sa
from sqlalchemy import orm

from case import DATABASE, HOST, PASSWORD, PORT, USER, case, run, say

DIALECT = sys.argv[1]
MYSQL = DIALECT.startswith("mysql") or DIALECT.startswith("mariadb")

engine = sa.create_engine(
    sa.URL.create(DIALECT, username=USER, password=PASSWORD, host=HOST, port=PORT, database=DATABASE), pool_size=2
)


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "orm_authors"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    born: orm.Mapped[datetime.date | None]
    fee: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(10, 2), server_default="1.50")
    kind: orm.Mapped[str] = orm.mapped_column(sa.Enum("new", "known", name="orm_kind", native_enum=False), default="new")
    extra: orm.Mapped[dict] = orm.mapped_column(sa.JSON, default=dict)
    books: orm.Mapped[list["Book"]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "orm_books"
    __table_args__ = (sa.Index("orm_books_title", "title", "author_id"), {"comment": "what they wrote"})
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("orm_authors.id", ondelete="CASCADE"))
    title: orm.Mapped[str] = orm.mapped_column(sa.String(80))
    added: orm.Mapped[datetime.datetime] = orm.mapped_column(server_default=sa.func.now())
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


@case
def connection():
    with engine.connect() as c:
        say(c.dialect.server_version_info[:2], c.dialect.default_schema_name, c.get_isolation_level())
        say(c.scalar(sa.text("SELECT 1 + 1")))
        for level in ["READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"]:
            with engine.connect().execution_options(isolation_level=level) as other:
                say(other.get_isolation_level(), other.scalar(sa.text("SELECT 2")))


@case
def creation_and_reflection():
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    inspector = sa.inspect(engine)
    say(sorted(inspector.get_table_names()), inspector.get_view_names(), inspector.has_table("orm_books"), inspector.has_table("x"))
    say(inspector.get_schema_names())
    for table in ["accounts", "entries", "kinds", "numbered", "orm_authors", "orm_books"]:
        for column in inspector.get_columns(table):
            say(table, {key: str(value) for key, value in sorted(column.items())})
        say(inspector.get_pk_constraint(table))
        say(inspector.get_foreign_keys(table), sorted(str(index) for index in inspector.get_indexes(table)))
        say(inspector.get_unique_constraints(table), inspector.get_check_constraints(table), inspector.get_table_comment(table))
    reflected = sa.MetaData()
    reflected.reflect(engine)
    say(sorted(reflected.tables), [table.name for table in reflected.sorted_tables])


@case
def unit_of_work():
    with orm.Session(engine) as session:
        authors = [Author(name=f"author {n}", born=datetime.date(1950 + n, 1, 1)) for n in range(5)]
        authors[0].books = [Book(title=f"title {n}") for n in range(3)]
        authors[1].extra = {"a": [1, None, "\u20ac"]}
        session.add_all(authors)
        session.commit()
        say([author.id - authors[0].id for author in authors], str(authors[0].fee), authors[1].extra, authors[0].kind)
        authors[2].name = "changed"
        session.delete(authors[3])
        session.flush()
        say([a.name for a in session.scalars(sa.select(Author).order_by(Author.name))])
        session.rollback()
        say([a.name for a in session.scalars(sa.select(Author).order_by(Author.name))])
        found = session.execute(
            sa.select(Author.name, sa.func.count(Book.id)).outerjoin(Book).group_by(Author.id, Author.name).order_by(Author.name)
        )
        for row in found:
            say(tuple(row))
        say([a.name for a in session.scalars(sa.select(Author).options(orm.selectinload(Author.books)).where(Author.books.any()))])
        with session.begin_nested():
            session.add(Author(name="nested"))
        try:
            with session.begin_nested():
                session.add(Author(name="nested"))
        except sa.exc.IntegrityError as error:
            say(type(error.orig).__name__)
        session.commit()
        say(session.scalar(sa.select(sa.func.count()).select_from(Author)))
        session.delete(authors[0])
        session.commit()
        say(session.scalar(sa.select(sa.func.count()).select_from(Book)))


@case
def core():
    accounts = sa.Table("accounts", sa.MetaData(), autoload_with=engine)
    with engine.begin() as c:
        c.execute(sa.delete(accounts))
        say(c.execute(sa.insert(accounts), [{"id": n, "owner": f"o{n}", "balance": n} for n in range(1, 51)]).rowcount)
    with engine.connect() as c:
        say(c.execute(sa.select(sa.func.count(), sa.func.sum(accounts.c.balance))).one())
        say(c.execute(sa.select(accounts.c.id).order_by(accounts.c.id.desc()).limit(3)).all())
        say(c.execute(sa.select(accounts).where(accounts.c.id.in_([4, 5, 6])).order_by(accounts.c.id)).mappings().all())
        c.rollback()
    with engine.connect().execution_options(stream_results=True, max_row_buffer=7) as c:
        with c.execute(sa.select(accounts.c.id).order_by(accounts.c.id)) as found:
            say(sum(row.id for row in found))
    with engine.connect() as c:
        say(c.execute(sa.update(accounts).where(accounts.c.id == 4).values(owner="x")).rowcount)
        c.commit()
    with engine.begin() as c:
        c.execute(sa.delete(accounts))


@case
def errors():
    for statement in ["SELEC", "SELECT * FROM no_such_table"]:
        try:
            with engine.connect() as c:
                c.execute(sa.text(statement))
        except sa.exc.DBAPIError as error:
            say(type(error).__name__, str(error.orig).split("\n")[0], error.connection_invalidated)


@case
def removal():
    Base.metadata.drop_all(engine)
    say(sa.inspect(engine).has_table("orm_books"))
    engine.dispose()


run(f"sqlalchemy {DIALECT}")
