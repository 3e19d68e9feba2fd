//! Customers (end users): people behind a key's requests, named by the caller.

use toolgate_access::permission::ObjectPermission;

use crate::cell::args;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::{Row as _, column_list, kinds, open_row, row};
use crate::{Actor, Budget, Noun, OwnBudget, Store, StoreError};

row! {
    /// A customer.
    pub struct Customer, CustomerChanges in Noun::Customer;
    id { user_id }
    free {
        alias: Option<String>,
        /// In this budget period, in USD.
        spend: f64,
        allowed_model_region: Option<String>,
        default_model: Option<String>,
        models: Vec<String>,
        budget_id: Option<String>,
        blocked: bool,
        object_permission: Option<ObjectPermission>,
    }
}

impl Store {
    /// Keeps a new customer, with bounds if there are some.
    pub async fn create_customer(
        &self,
        actor: &Actor,
        customer: Customer,
        own: Option<OwnBudget>,
    ) -> Result<Customer, StoreError> {
        self.create_bounded(actor, customer, own).await
    }

    /// The customer with this id.
    pub async fn customer(&self, user_id: &str) -> Result<Option<Customer>, StoreError> {
        self.get(&[user_id]).await
    }

    /// The customer with this id and their budget, in one query.
    pub async fn customer_with_budget(&self, user_id: &str) -> Result<Option<(Customer, Option<Budget>)>, StoreError> {
        let sql = format!(
            "SELECT {}, {} FROM customers c LEFT JOIN budgets b ON b.budget_id = c.budget_id WHERE c.user_id = $1",
            column_list::<Customer>("c"),
            column_list::<Budget>("b"),
        );
        let mut all = kinds::<Customer>();
        all.extend(kinds::<Budget>());
        let rows = self.db().read().await?.rows(sql, args![user_id], all).await?;
        let Some(mut cells) = rows.into_iter().next() else { return Ok(None) };
        let budget = cells.split_off(Customer::COLUMNS.len());
        let customer = open_row(cells, self.sealer())?;
        Ok(Some((customer, crate::row::open_joined(budget, self.sealer())?)))
    }

    /// A page of customers, by id.
    pub async fn customers(&self, page: PageOf) -> Result<Page<Customer>, StoreError> {
        let mut session = self.db().read().await?;
        let conditions = Where::new(&session);
        conditions.page_of_rows(&mut session, self.sealer(), "user_id", page).await
    }

    /// Changes a customer, and the customer's bounds if some are sent.
    pub async fn update_customer(
        &self,
        actor: &Actor,
        user_id: &str,
        changes: CustomerChanges,
        own: Option<OwnBudget>,
    ) -> Result<Customer, StoreError> {
        self.change_bounded(actor, &[user_id], changes, own).await
    }

    /// Blocks customers or opens them again. Who is not known yet is made known.
    pub async fn set_customers_blocked(
        &self,
        actor: &Actor,
        user_ids: &[String],
        blocked: bool,
    ) -> Result<Vec<Customer>, StoreError> {
        let mut edit = self.edit(actor).await?;
        let mut customers = Vec::with_capacity(user_ids.len());
        for user_id in user_ids {
            customers.push(match edit.find::<Customer>(&[user_id]).await? {
                Some(before) => edit.write(&before, Customer { blocked, ..before.clone() }).await?,
                None => edit.insert(Customer { user_id: user_id.clone(), blocked, ..Customer::default() }).await?,
            });
        }
        edit.commit().await?;
        Ok(customers)
    }

    /// Deletes customers; returns those that were there.
    pub async fn delete_customers(&self, actor: &Actor, user_ids: &[String]) -> Result<Vec<Customer>, StoreError> {
        let mut edit = self.edit(actor).await?;
        let mut deleted = Vec::new();
        for user_id in user_ids {
            if let Some(customer) = edit.find::<Customer>(&[user_id]).await? {
                edit.delete(&customer).await?;
                deleted.push(customer);
            }
        }
        edit.commit().await?;
        Ok(deleted)
    }
}
