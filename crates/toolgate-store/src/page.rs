//! Pages of lists.

use serde::Serialize;

/// The most rows of a page.
pub const MAX_PAGE_SIZE: u32 = 1_000;

/// Which page of a list, and how large pages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageOf {
    page: u32,
    size: u32,
}

impl PageOf {
    /// The first page is 1; a size over [`MAX_PAGE_SIZE`] is that size, one of 0 is 1.
    pub fn new(page: u32, size: u32) -> Self {
        Self { page: page.max(1), size: size.clamp(1, MAX_PAGE_SIZE) }
    }

    /// Counts from 1.
    pub fn page(self) -> u32 {
        self.page
    }

    /// Rows per page.
    pub fn size(self) -> u32 {
        self.size
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.size)
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: i64,
    /// Which one it is.
    pub page: PageOf,
}

impl<T> Page<T> {
    /// How many pages there are.
    pub fn pages(&self) -> i64 {
        let size = i64::from(self.page.size());
        (self.total + size - 1) / size
    }
}
