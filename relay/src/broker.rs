//! The broker's store: a file of [redb](https://docs.rs/redb). What is written is on disk before it is said to be.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use peerage::service::broker::{Row, Store};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

/// All that the broker has.
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// A store in a file.
pub struct FileStore(Arc<File>);

struct File {
    path: PathBuf,
    /// Nothing after a failure, for after one it would fail for ever: the next write opens the file again.
    database: Mutex<Option<Database>>,
}

/// A file that cannot be a store.
#[derive(Debug, thiserror::Error)]
#[error("the broker's store {}: {reason}", file.display())]
pub struct StoreError {
    file: PathBuf,
    reason: redb::Error,
}

impl FileStore {
    /// Opens the file, which is made if there is none.
    ///
    /// # Errors
    /// If it is no store, or another process has it.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let database = open(file).map_err(|reason| StoreError {
            file: file.into(),
            reason,
        })?;
        Ok(Self(Arc::new(File {
            path: file.into(),
            database: Mutex::new(Some(database)),
        })))
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Vec<(Vec<u8>, Bytes)>, String> {
        self.0.with(load).map_err(|error| error.to_string())
    }

    fn write(&self, rows: Vec<Row>) -> BoxFuture<'static, Result<(), String>> {
        let file = Arc::clone(&self.0);
        Box::pin(async move {
            let written =
                tokio::task::spawn_blocking(move || file.with(|at| write(at, rows))).await;
            match written {
                Ok(written) => written.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as i64)
    }
}

impl File {
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match database.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        let done = work(&open)?;
        *database = Some(open);
        Ok(done)
    }
}

fn open(file: &Path) -> Result<Database, redb::Error> {
    let database = Database::create(file)?;
    // There must be a table to be read.
    let transaction = database.begin_write()?;
    transaction.open_table(ROWS)?;
    transaction.commit()?;
    Ok(database)
}

fn load(database: &Database) -> Result<Vec<(Vec<u8>, Bytes)>, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let rows = table.iter()?.map(|row| {
        let (key, value) = row?;
        Ok((key.value().to_vec(), Bytes::copy_from_slice(value.value())))
    });
    rows.collect()
}

fn write(database: &Database, rows: Vec<Row>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut table = transaction.open_table(ROWS)?;
        for (key, value) in rows {
            match value {
                Some(value) => drop(table.insert(&key[..], &value[..])?),
                None => drop(table.remove(&key[..])?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: Option<&str>) -> Row {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        (key.into(), value)
    }

    #[tokio::test]
    async fn rows_are_there_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker");
        let store = FileStore::open(&file).unwrap();
        store
            .write(vec![row("b", Some("1")), row("a", Some("2"))])
            .await
            .unwrap();
        store
            .write(vec![row("b", None), row("c", Some("3"))])
            .await
            .unwrap();
        // One process at a time.
        let refused = FileStore::open(&file).err().unwrap().to_string();
        assert!(refused.contains("broker"), "{refused}");
        drop(store);
        let rows = FileStore::open(&file).unwrap().load().unwrap();
        let expected =
            [("a", "2"), ("c", "3")].map(|(key, value)| (key.into(), Bytes::from(value)));
        assert_eq!(rows, expected);
    }

    #[tokio::test]
    async fn a_store_that_failed_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker");
        let store = FileStore::open(&path).unwrap();
        let lost = || redb::Error::Io(std::io::Error::other("the disk is full"));
        let failed = store.0.with(|_| Err::<(), _>(lost()));
        assert!(failed.is_err());
        assert!(store.0.database.lock().unwrap().is_none());
        store.write(vec![row("a", Some("1"))]).await.unwrap();
        assert_eq!(store.load().unwrap().len(), 1);
        // Nor does it hold the file when it cannot be opened.
        assert!(store.0.with(|_| Err::<(), _>(lost())).is_err());
        assert!(FileStore::open(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker");
        std::fs::write(&file, "hello").unwrap();
        assert!(FileStore::open(&file).is_err());
        assert!(FileStore::open(folder.path()).is_err());
    }
}
