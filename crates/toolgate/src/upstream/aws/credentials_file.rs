//! The shared credentials file, `~/.aws/credentials`.
//!
//! Read are the three values of one profile. What else AWS's programs know about profiles (roles, single sign-on,
//! programs that print keys) is not there.

use std::path::Path;

use crate::config::settings::aws::AwsKeys;

/// A larger file is none with keys.
const LARGEST: u64 = 1024 * 1024;

/// The keys of `profile`; or why there are none.
pub(super) async fn read(path: &Path, profile: &str) -> Result<AwsKeys, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("the credentials file {shown} cannot be read: {error}");
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(format!("the credentials file {shown} is larger than {LARGEST} bytes"));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(unreadable)?;
    keys_in(&text, profile).map_err(|why| format!("the credentials file {shown} {why}"))
}

fn keys_in(text: &str, profile: &str) -> Result<AwsKeys, String> {
    let mut is_there = false;
    let mut is_ours = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines() {
        // A value that goes on in further lines is none of ours.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(name) = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_ours = name.trim() == profile;
            is_there |= is_ours;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| is_ours) else { continue };
        let value = value.trim();
        match key.trim() {
            "aws_access_key_id" => id = Some(value.to_owned()),
            "aws_secret_access_key" => secret = Some(value.into()),
            "aws_session_token" => token = Some(value.into()),
            _ => {}
        }
    }
    match (id, secret) {
        _ if !is_there => Err(format!("has no profile `{profile}`")),
        (Some(id), Some(secret)) => {
            let keys = AwsKeys::new(id, secret, token);
            keys.ok_or_else(|| format!("has keys in `{profile}` that are not such as AWS has"))
        }
        _ => Err(format!(
            "has no `aws_access_key_id` with an `aws_secret_access_key` in `{profile}`; profiles that lead to their keys \
             in another way are not followed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::keys_in;

    const FILE: &str = "# mine\n[default]\naws_access_key_id = AKID1\naws_secret_access_key=se/cr+et=\n\n\
                        [ other ]\r\naws_access_key_id=AKID2\r\naws_secret_access_key = s2\r\naws_session_token = t2\r\n\
                        region = us-west-2\n[sso]\nsso_session = x\n  aws_access_key_id = nested\n[bad]\n\
                        aws_access_key_id = a b\naws_secret_access_key = s\n";

    #[test]
    fn a_profiles_keys_are_read() {
        let keys = keys_in(FILE, "default").unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose_secret()), ("AKID1", "se/cr+et="));
        assert!(keys.session_token.is_none());
        let keys = keys_in(FILE, "other").unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.session_token.unwrap().expose_secret()), ("AKID2", "t2"));
    }

    #[test]
    fn a_profile_without_keys_says_so() {
        for (profile, why) in [
            ("none", "has no profile `none`"),
            ("sso", "profiles that lead to their keys in another way are not followed"),
            ("bad", "not such as AWS has"),
        ] {
            assert!(keys_in(FILE, profile).unwrap_err().contains(why), "{profile}");
        }
    }
}
