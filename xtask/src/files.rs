//! Folders as maps from path to content, and written so that what is the same stays untouched.

use crate::Error;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a folder, by their path inside it.
pub(crate) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// A file's content.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| failed("read", path, &error))
}

/// Everything in a folder and its subfolders; nothing when it does not exist.
pub(crate) fn read_tree(folder: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    collect(folder, Path::new(""), &mut tree)?;
    Ok(tree)
}

/// Makes a folder hold exactly `tree`. A file whose content has not changed is not written: cargo
/// would rebuild what embeds it.
pub(crate) fn write_tree(folder: &Path, tree: &Tree) -> Result<(), Error> {
    let old = read_tree(folder)?;
    for path in old.keys().filter(|path| !tree.contains_key(*path)) {
        let path = folder.join(path);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?;
    }
    for (path, content) in tree {
        if old.get(path) != Some(content) {
            write(&folder.join(path), content)?;
        }
    }
    Ok(())
}

/// Removes a folder with everything in it, if it is there.
pub(crate) fn remove_tree(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder, &error))
        }
        _ => Ok(()),
    }
}

fn collect(folder: &Path, inside: &Path, tree: &mut Tree) -> Result<(), Error> {
    let here = folder.join(inside);
    let entries = match fs::read_dir(&here) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| failed("list", &here, &error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", &here, &error))?;
        let path = inside.join(entry.file_name());
        if entry.path().is_dir() {
            collect(folder, &path, tree)?;
        } else {
            tree.insert(path, read(&entry.path())?);
        }
    }
    Ok(())
}

pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| failed("write", path, &error))
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process;

    #[test]
    fn a_written_folder_holds_the_tree_and_nothing_else() {
        let folder = env::temp_dir().join(format!("xtask-files-{}", process::id()));
        let tree = |names: &[&str]| -> Tree {
            let file = |name: &&str| (PathBuf::from(name), name.as_bytes().to_vec());
            names.iter().map(file).collect()
        };

        write_tree(&folder, &tree(&["same", "deep/old"])).unwrap();
        let written = || fs::metadata(folder.join("same")).unwrap().modified();
        let before = written().unwrap();
        write_tree(&folder, &tree(&["same", "deep/new"])).unwrap();

        assert_eq!(read_tree(&folder).unwrap(), tree(&["same", "deep/new"]));
        assert_eq!(written().unwrap(), before, "an unchanged file was written");
        remove_tree(&folder).unwrap();
    }
}
