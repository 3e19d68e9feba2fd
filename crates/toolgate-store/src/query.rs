//! Conditions that a filter puts together. Columns and operators are constants; what people sent is always an argument.

use chrono::{DateTime, Utc};

use crate::StoreError;
use crate::cell::{Arg, Cell, Kind};
use crate::db::Session;
use crate::page::{Page, PageOf};
use crate::row::{Row, column_list, kinds, open_row};
use crate::secret::Sealer;

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The largest first.
    #[default]
    Descending,
}

/// Columns to sort by that are never null. PostgreSQL walks their index only when nothing is said of nulls.
const NEVER_NULL: [&str; 4] = ["created_at", "updated_at", "spend", "start_time"];

/// Sorts by a column, what is null last, and by the id where two have the same: both the same way, as indexes do.
pub(crate) fn order_by(column: &'static str, direction: Direction, id: &'static str) -> String {
    let way = match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    };
    let nulls = if NEVER_NULL.contains(&column) { "" } else { " NULLS LAST" };
    format!("{column} {way}{nulls}, {id} {way}")
}

/// A text in which LIKE finds nothing but itself.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// A conjunction of conditions.
pub(crate) struct Where {
    postgres: bool,
    terms: Vec<String>,
    args: Vec<Arg>,
}

impl Where {
    pub(crate) fn new(session: &Session) -> Self {
        Self { postgres: session.is_postgres(), terms: Vec::new(), args: Vec::new() }
    }

    fn place(&mut self, arg: Arg) -> String {
        self.args.push(arg);
        format!("${}", self.args.len())
    }

    pub(crate) fn equals(&mut self, column: &'static str, value: Option<&String>) {
        if let Some(value) = value {
            let place = self.place(Arg::of(value));
            self.terms.push(format!("{column} = {place}"));
        }
    }

    pub(crate) fn equals_any_case(&mut self, column: &'static str, value: Option<&String>) {
        if let Some(value) = value {
            let place = self.place(Arg::of(value));
            self.terms.push(format!("LOWER({column}) = LOWER({place})"));
        }
    }

    /// Is in what a query finds, which ends in the name of the column that the value is compared with.
    pub(crate) fn is_in(&mut self, column: &'static str, query: &'static str, value: Option<&String>) {
        if let Some(value) = value {
            let place = self.place(Arg::of(value));
            self.terms.push(format!("{column} IN ({query} = {place})"));
        }
    }

    /// The same with a list of values.
    pub(crate) fn is_in_any(&mut self, column: &'static str, query: &'static str, values: Option<&Vec<String>>) {
        if let Some(values) = values {
            let term = self.one_of_term(query, values);
            self.terms.push(if values.is_empty() { term } else { format!("{column} IN ({term})") });
        }
    }

    pub(crate) fn is(&mut self, column: &'static str, value: Option<bool>) {
        if let Some(value) = value {
            let place = self.place(Arg::of(&value));
            self.terms.push(format!("COALESCE({column}, FALSE) = {place}"));
        }
    }

    pub(crate) fn at_least(&mut self, column: &'static str, value: Option<&DateTime<Utc>>) {
        self.compare(column, ">=", value);
    }

    pub(crate) fn less_than(&mut self, column: &'static str, value: Option<&DateTime<Utc>>) {
        self.compare(column, "<", value);
    }

    pub(crate) fn at_most(&mut self, column: &'static str, value: &DateTime<Utc>) {
        self.compare(column, "<=", Some(value));
    }

    pub(crate) fn null_or_more(&mut self, column: &'static str, value: &DateTime<Utc>) {
        let place = self.place(Arg::of(value));
        self.terms.push(format!("({column} IS NULL OR {column} > {place})"));
    }

    fn compare(&mut self, column: &'static str, operator: &'static str, value: Option<&DateTime<Utc>>) {
        if let Some(value) = value {
            let place = self.place(Arg::of(value));
            self.terms.push(format!("{column} {operator} {place}"));
        }
    }

    /// The text under `key` in a JSON column is the value.
    pub(crate) fn json_equals(&mut self, column: &'static str, key: &'static str, value: Option<&String>) {
        let Some(value) = value else { return };
        let place = self.place(Arg::of(value));
        self.terms.push(if self.postgres {
            format!("{column} ->> '{key}' = {place}")
        } else {
            format!("json_extract({column}, '$.{key}') = {place}")
        });
    }

    /// Comes before a row with these values, in the order of the two columns.
    pub(crate) fn before(&mut self, columns: [&'static str; 2], values: Option<&(DateTime<Utc>, String)>) {
        let Some((time, id)) = values else { return };
        let (time, id) = (self.place(Arg::of(time)), self.place(Arg::of(id)));
        self.terms.push(format!("({}, {}) < ({time}, {id})", columns[0], columns[1]));
    }

    /// Contains the text, whatever the case of ASCII letters.
    pub(crate) fn contains(&mut self, column: &'static str, text: Option<&String>) {
        let Some(text) = text else { return };
        let place = self.place(Arg::of(&format!("%{}%", escaped(text))));
        self.terms.push(format!("LOWER({column}) LIKE LOWER({place}) ESCAPE '\\'"));
    }

    /// A column is `value`, or one of the texts has `part` in it.
    pub(crate) fn equals_or_mentions(
        &mut self,
        column: &'static str,
        value: &String,
        texts: &[&'static str],
        part: &str,
    ) {
        let place = self.place(Arg::of(value));
        let mut terms = vec![format!("{column} = {place}")];
        let place = self.place(Arg::of(&format!("%{}%", escaped(part))));
        terms.extend(texts.iter().map(|text| format!("{text} LIKE {place} ESCAPE '\\'")));
        self.terms.push(format!("({})", terms.join(" OR ")));
    }

    /// One of a list; an empty list matches nothing.
    pub(crate) fn one_of(&mut self, column: &'static str, values: Option<&[String]>) {
        if let Some(values) = values {
            let term = self.one_of_term(column, values);
            self.terms.push(term);
        }
    }

    /// The list in a JSON column has the value.
    pub(crate) fn lists(&mut self, column: &'static str, value: Option<&String>) {
        let Some(value) = value else { return };
        let place = self.place(Arg::of(value));
        self.terms.push(if self.postgres {
            format!("jsonb_exists({column}, {place})")
        } else {
            format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value = {place})")
        });
    }

    fn one_of_term(&mut self, column: &'static str, values: &[String]) -> String {
        if values.is_empty() {
            return "1 = 0".to_owned();
        }
        let places: Vec<String> = values.iter().map(|value| self.place(Arg::of(value))).collect();
        format!("{column} IN ({})", places.join(", "))
    }

    /// At least one column is one of its list.
    pub(crate) fn any_of(&mut self, choices: &[(&'static str, &[String])]) {
        let terms: Vec<String> = choices.iter().map(|(column, values)| self.one_of_term(column, values)).collect();
        self.terms.push(format!("({})", terms.join(" OR ")));
    }

    fn sql(&self) -> String {
        if self.terms.is_empty() { String::new() } else { format!("WHERE {}", self.terms.join(" AND ")) }
    }

    /// The condition's text and its arguments.
    pub(crate) fn into_sql(self) -> (String, Vec<Arg>) {
        (self.sql(), self.args)
    }

    /// A page of columns of a table, and how many rows there are in all.
    pub(crate) async fn page(
        self,
        session: &mut Session,
        table: &'static str,
        columns: &str,
        kinds: &[Kind],
        order: &str,
        page: PageOf,
    ) -> Result<(Vec<Vec<Cell>>, i64), StoreError> {
        let condition = self.sql();
        let count = format!("SELECT COUNT(*) FROM {table} {condition}");
        let total = session.value::<i64>(count, self.args.clone()).await?.unwrap_or_default();
        let mut args = self.args;
        args.extend([Arg::of(&i64::from(page.size())), Arg::of(&page.offset())]);
        let (limit, offset) = (args.len() - 1, args.len());
        let sql = format!("SELECT {columns} FROM {table} {condition} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
        Ok((session.rows(sql, args, kinds.to_vec()).await?, total))
    }

    /// A page of rows.
    pub(crate) async fn page_of_rows<R: Row>(
        self,
        session: &mut Session,
        sealer: &Sealer,
        order: &str,
        page: PageOf,
    ) -> Result<Page<R>, StoreError> {
        let columns = column_list::<R>("");
        let (rows, total) = self.page(session, R::NOUN.table(), &columns, &kinds::<R>(), order, page).await?;
        let items = rows.into_iter().map(|cells| open_row(cells, sealer)).collect::<Result<_, _>>()?;
        Ok(Page { items, total, page })
    }

    /// All rows.
    pub(crate) async fn rows<R: Row>(
        self,
        session: &mut Session,
        sealer: &Sealer,
        order: &str,
    ) -> Result<Vec<R>, StoreError> {
        let tail = format!("{} ORDER BY {order}", self.sql());
        session.select(sealer, &tail, self.args).await
    }
}
