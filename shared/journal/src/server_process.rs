//! The process of our nats-server as others find it: its id and its address, in files of its
//! folder.

use std::path::{Path, PathBuf};

use crate::private::{PrivateError, our_user, write_file};

/// The configuration, which stands in the command line of the process.
pub(crate) const CONFIG: &str = "nats-server.conf";

/// The file with the id of the process.
const PID: &str = "pid";

/// Notes the id of the process that has just been started.
pub(crate) fn note(folder: &Path, pid: u32) -> Result<(), PrivateError> {
    write_file(&folder.join(PID), &pid.to_string())
}

/// The id of the server that was left running on the streams in this folder.
pub(crate) fn left_running(folder: &Path) -> Option<u32> {
    let noted = std::fs::read_to_string(folder.join(PID)).ok().and_then(|pid| pid.trim().parse().ok());
    let listening = ports_files(folder).into_iter().map(|(_, pid)| pid);
    noted.into_iter().chain(listening).find(|pid| is_server_of(folder, *pid))
}

/// Whether this process is a nats-server of ours with the configuration in this folder. Process ids
/// are used again.
pub(crate) fn is_server_of(folder: &Path, pid: u32) -> bool {
    let config = folder.join(CONFIG).display().to_string();
    let command = if cfg!(target_os = "linux") { linux_command(pid) } else { other_command(pid) };
    command.is_some_and(|command| command.contains(&config))
}

fn linux_command(pid: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let process = PathBuf::from(format!("/proc/{pid}"));
    let is_ours = process.metadata().ok()?.uid() == our_user();
    let command = std::fs::read(process.join("cmdline")).ok().filter(|_| is_ours)?;
    Some(String::from_utf8_lossy(&command).into_owned())
}

fn other_command(pid: u32) -> Option<String> {
    let (id, user) = (pid.to_string(), our_user().to_string());
    let output =
        std::process::Command::new("ps").args(["-ww", "-o", "uid=,command=", "-p", &id]).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_string();
    line.split_once(' ').filter(|(owner, _)| *owner == user).map(|(_, command)| command.to_string())
}

/// The files in which nats-server writes its ports (`nats-server_<pid>.ports`), with the process
/// ids in their names.
pub(crate) fn ports_files(folder: &Path) -> Vec<(PathBuf, u32)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let pid = name.strip_suffix(".ports")?.rsplit_once('_')?.1.parse().ok()?;
            Some((path, pid))
        })
        .collect()
}

/// The address that the server in this folder wrote down when it started; it may have ended since.
pub(crate) fn url(folder: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let (path, _) = ports_files(folder).pop()?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let (_, address) = ports.nats.first()?.split_once("://")?;
    Some(format!("nats://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_under_the_same_id_is_not_the_server() {
        let folder = tempfile::tempdir().expect("a folder");
        note(folder.path(), std::process::id()).expect("written");
        assert_eq!(left_running(folder.path()), None, "this is no nats-server");
        let config = folder.path().join(CONFIG);
        let mut child = std::process::Command::new("tail")
            .args(["-F".as_ref(), config.as_os_str()])
            .spawn()
            .expect("tail");
        note(folder.path(), child.id()).expect("written");
        assert_eq!(left_running(folder.path()), Some(child.id()));
        note(folder.path(), u32::MAX).expect("written");
        std::fs::write(folder.path().join(format!("nats-server_{}.ports", child.id())), "{}")
            .expect("written");
        assert_eq!(left_running(folder.path()), Some(child.id()), "a build before this one noted no id");
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert_eq!(left_running(folder.path()), None, "it has ended");
    }
}
