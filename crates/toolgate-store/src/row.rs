//! Rows as structs: one macro that says a table's columns once, and what every table can do with them.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::StoreError;
use crate::cell::{Arg, Cell, Cells, Kind};
use crate::db::Session;
use crate::noun::Noun;
use crate::secret::{Place, Sealer};

/// A row of a table that people manage. Its first columns are its id, the next four its stamps.
pub(crate) trait Row: Clone + PartialEq + Serialize + Send + Sync + 'static {
    const NOUN: Noun;
    /// How many of the columns are the id.
    const IDS: usize;
    const COLUMNS: &'static [(&'static str, Kind)];

    fn cells(&self) -> Vec<Cell>;
    fn from_cells(cells: &mut Cells) -> Result<Self, StoreError>;
    fn stamp_created(&mut self, now: DateTime<Utc>, by: &str);
    fn stamp_updated(&mut self, now: DateTime<Utc>, by: &str);
    /// Takes the stamps of the row that this one is to replace.
    fn stamp_like(&mut self, other: &Self);
}

/// Changes to columns of a row.
pub(crate) trait ChangesOf<R>: Send {
    fn apply(self, row: &mut R);
}

/// Declares a table's row and the changes to it.
///
/// `id` columns never change; `free` ones do. The stamps `created_at`, `created_by`, `updated_at` and `updated_by` are
/// every table's, and set by the store. A value after `=` is the column's default.
macro_rules! row {
    (
        $(#[$meta:meta])*
        pub struct $row:ident, $changes:ident in $noun:expr;
        id { $($id:ident),+ $(,)? }
        free { $($(#[$field_meta:meta])* $field:ident: $type:ty $(= $default:expr)?),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
        pub struct $row {
            $(#[doc = concat!("Column `", stringify!($id), "`, of the id.")] pub $id: String,)+
            /// When the row was made; set by the store.
            pub created_at: chrono::DateTime<chrono::Utc>,
            /// Who made it; set by the store.
            pub created_by: Option<String>,
            /// When it was last changed; set by the store.
            pub updated_at: chrono::DateTime<chrono::Utc>,
            /// Who changed it last; set by the store.
            pub updated_by: Option<String>,
            $(#[doc = concat!("Column `", stringify!($field), "`.")] $(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $row {
            fn default() -> Self {
                Self {
                    $($id: String::new(),)+
                    created_at: chrono::DateTime::UNIX_EPOCH,
                    created_by: None,
                    updated_at: chrono::DateTime::UNIX_EPOCH,
                    updated_by: None,
                    $($field: $crate::row::default_of!($($default)?),)*
                }
            }
        }

        #[doc = concat!("What an update of a [`", stringify!($row), "`] changes.")]
        #[derive(Debug, Clone, Default)]
        pub struct $changes {
            $(#[doc = concat!("Column `", stringify!($field), "`.")] pub $field: $crate::Change<$type>,)*
        }

        impl $changes {
            #[doc = concat!("The [`", stringify!($row), "`] that this makes of `row`.")]
            pub fn applied(self, row: &$row) -> $row {
                let mut row = row.clone();
                $crate::row::ChangesOf::apply(self, &mut row);
                row
            }
        }

        impl $crate::row::ChangesOf<$row> for $changes {
            fn apply(self, row: &mut $row) {
                $(self.$field.apply(&mut row.$field);)*
            }
        }

        impl $crate::row::Row for $row {
            const NOUN: $crate::Noun = $noun;
            const IDS: usize = [$(stringify!($id)),+].len();
            const COLUMNS: &'static [(&'static str, $crate::cell::Kind)] = &[
                $((stringify!($id), $crate::cell::Kind::Text),)+
                ("created_at", $crate::cell::Kind::Time),
                ("created_by", $crate::cell::Kind::Text),
                ("updated_at", $crate::cell::Kind::Time),
                ("updated_by", $crate::cell::Kind::Text),
                $((stringify!($field), <$type as $crate::cell::Column>::KIND),)*
            ];

            fn cells(&self) -> Vec<$crate::cell::Cell> {
                use $crate::cell::Column as _;
                vec![
                    $(self.$id.to_cell(),)+
                    self.created_at.to_cell(),
                    self.created_by.to_cell(),
                    self.updated_at.to_cell(),
                    self.updated_by.to_cell(),
                    $(self.$field.to_cell(),)*
                ]
            }

            fn from_cells(cells: &mut $crate::cell::Cells) -> Result<Self, $crate::StoreError> {
                Ok(Self {
                    $($id: cells.take(stringify!($id))?,)+
                    created_at: cells.take("created_at")?,
                    created_by: cells.take("created_by")?,
                    updated_at: cells.take("updated_at")?,
                    updated_by: cells.take("updated_by")?,
                    $($field: cells.take(stringify!($field))?,)*
                })
            }

            fn stamp_created(&mut self, now: chrono::DateTime<chrono::Utc>, by: &str) {
                self.created_at = now;
                self.created_by = Some(by.to_owned());
                self.stamp_updated(now, by);
            }

            fn stamp_updated(&mut self, now: chrono::DateTime<chrono::Utc>, by: &str) {
                self.updated_at = now;
                self.updated_by = Some(by.to_owned());
            }

            fn stamp_like(&mut self, other: &Self) {
                self.created_at = other.created_at;
                self.created_by.clone_from(&other.created_by);
                self.updated_at = other.updated_at;
                self.updated_by.clone_from(&other.updated_by);
            }
        }
    };
}
pub(crate) use row;

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}
pub(crate) use default_of;

/// The id as one text, for the audit log, changes and errors; parts are joined with `/`.
pub(crate) fn object_id<R: Row>(row: &R) -> String {
    id_text(&row.cells()[..R::IDS])
}

pub(crate) fn id_text(cells: &[Cell]) -> String {
    let parts: Vec<&str> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Text(text) => text.as_str(),
            _ => "",
        })
        .collect();
    parts.join("/")
}

/// The columns' names, comma separated, behind an alias of the table if there is one.
pub(crate) fn column_list<R: Row>(alias: &str) -> String {
    let names: Vec<String> = R::COLUMNS
        .iter()
        .map(|(name, _)| if alias.is_empty() { (*name).to_owned() } else { format!("{alias}.{name}") })
        .collect();
    names.join(", ")
}

pub(crate) fn kinds<R: Row>() -> Vec<Kind> {
    R::COLUMNS.iter().map(|(_, kind)| *kind).collect()
}

/// `id = $1`, for each column of the id, numbered from `first`.
pub(crate) fn id_is<R: Row>(first: usize) -> String {
    let terms: Vec<String> =
        R::COLUMNS[..R::IDS].iter().enumerate().map(|(at, (name, _))| format!("{name} = ${}", first + at)).collect();
    terms.join(" AND ")
}

/// The arguments of all columns of a row, secrets sealed for their place.
pub(crate) fn sealed_args<R: Row>(row: &R, sealer: &Sealer) -> Result<Vec<Arg>, StoreError> {
    Ok(sealed_args_where(row, sealer, |_| true)?.into_iter().map(|(_, arg)| arg).collect())
}

/// The arguments of some columns, each with the column's place in the list.
pub(crate) fn sealed_args_where<R: Row>(
    row: &R,
    sealer: &Sealer,
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<(usize, Arg)>, StoreError> {
    let cells = row.cells();
    let id = id_text(&cells[..R::IDS]);
    let mut args = Vec::new();
    for (at, ((column, kind), cell)) in R::COLUMNS.iter().zip(cells).enumerate() {
        if !wanted(at) {
            continue;
        }
        let cell = match cell {
            Cell::Secret(secret) => {
                let text = secret.expose().ok_or(StoreError::Invalid { what: "a secret that cannot be read" })?;
                Cell::Text(sealer.seal(text, Place { table: R::NOUN.table(), column, row: &id })?)
            }
            cell => cell,
        };
        args.push((at, Arg { kind: *kind, cell }));
    }
    Ok(args)
}

/// A row from its cells as they were read, secrets opened.
pub(crate) fn open_row<R: Row>(mut cells: Vec<Cell>, sealer: &Sealer) -> Result<R, StoreError> {
    let table = R::NOUN.table();
    let id = id_text(&cells[..R::IDS]);
    for ((column, kind), cell) in R::COLUMNS.iter().zip(&mut cells) {
        if let (Kind::Sealed, Cell::Text(sealed)) = (kind, &*cell) {
            *cell = Cell::Secret(sealer.open(sealed, Place { table, column, row: &id }));
        }
    }
    R::from_cells(&mut Cells::new(table, cells))
}

/// The same for a row that was joined and may not be there.
pub(crate) fn open_joined<R: Row>(cells: Vec<Cell>, sealer: &Sealer) -> Result<Option<R>, StoreError> {
    if cells.first() == Some(&Cell::Null) { Ok(None) } else { open_row(cells, sealer).map(Some) }
}

impl Session {
    /// Rows of a table; `tail` is what follows `FROM table`.
    pub(crate) async fn select<R: Row>(
        &mut self,
        sealer: &Sealer,
        tail: &str,
        args: Vec<Arg>,
    ) -> Result<Vec<R>, StoreError> {
        let sql = format!("SELECT {} FROM {} {tail}", column_list::<R>(""), R::NOUN.table());
        let rows = self.rows(sql, args, kinds::<R>()).await?;
        rows.into_iter().map(|cells| open_row(cells, sealer)).collect()
    }

    /// The row with this id.
    pub(crate) async fn by_id<R: Row>(&mut self, sealer: &Sealer, id: &[&str]) -> Result<Option<R>, StoreError> {
        let args = id.iter().map(Arg::of).collect();
        Ok(self.select::<R>(sealer, &format!("WHERE {}", id_is::<R>(1)), args).await?.pop())
    }
}
