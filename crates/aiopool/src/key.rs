//! What jobs share a limit by.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU32;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, LazyLock};

use crate::rate::Rate;

/// What jobs share a limit by: the name of a host, the number of a customer. Jobs whose keys are equal
/// belong together, those of different keys take turns.
///
/// A key is made of a text or a whole number by `into`, and of anything else by [`new`](Self::new). It
/// is cheap to clone. A pool remembers a key as long as it has jobs, is paused, or has starts that its
/// rate still counts.
///
/// # Examples
///
/// ```
/// use aiopool::Key;
///
/// assert_eq!(Key::from("example.com"), Key::new(String::from("example.com")));
/// assert_eq!(Key::from(7_u8), Key::from(7_i64));
/// assert_ne!(Key::new(("example.com", 80)), Key::new(("example.com", 443)));
/// ```
#[derive(Clone)]
pub struct Key(Arc<Hashed>);

struct Hashed {
    /// Found once, when the key was made: to hash it is foreign code.
    hash: u64,
    value: Value,
}

enum Value {
    Text(Box<str>),
    Number(i128),
    Other(Box<dyn AnyKey>),
}

/// Any key, whatever its type.
trait AnyKey: Any + Send + Sync {
    fn equals(&self, other: &dyn AnyKey) -> bool;
    // The oldest compiler does not see that it is one.
    fn as_any(&self) -> &dyn Any;
    fn hash_to(&self, hasher: &mut dyn Hasher);
    fn type_name(&self) -> &'static str;
}

impl Key {
    /// A key of any type. What it is made of is hashed in this call, and compared where the key is
    /// used. Texts that are equal make equal keys, whether they are a `&str`, a `String`, a `Box<str>`,
    /// an `Arc<str>` or a `Cow<str>`, and so do whole numbers. Beside these, only values of one type make
    /// equal keys.
    #[must_use]
    pub fn new<K: Hash + Eq + Send + Sync + 'static>(key: K) -> Self {
        if let Some(plain) = plain(&key) {
            return plain;
        }
        Self::of(Value::Other(Box::new(key)))
    }

    /// The text that the key was made of, if it was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiopool::{Key, Pool};
    ///
    /// let is_ours = |host: &Key| host.as_str().is_some_and(|host| host.ends_with(".example.com"));
    /// let pool = Pool::builder(20)
    ///     .per_key_with(move |host| if is_ours(host) { 10 } else { 2 })
    ///     .build();
    /// ```
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.0.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Other(_) => None,
        }
    }

    /// The whole number that the key was made of, if it was one.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        match &self.0.value {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::Other(_) => None,
        }
    }

    /// What the key was made of, if it was of this type, and neither a text nor a whole number.
    ///
    /// # Examples
    ///
    /// ```
    /// use aiopool::Key;
    ///
    /// let key = Key::new(("example.com", 443_u16));
    /// assert_eq!(key.downcast_ref::<(&str, u16)>().map(|(_, port)| *port), Some(443));
    /// ```
    #[must_use]
    pub fn downcast_ref<K: 'static>(&self) -> Option<&K> {
        match &self.0.value {
            Value::Other(key) => (**key).as_any().downcast_ref(),
            Value::Text(_) | Value::Number(_) => None,
        }
    }

    fn of(value: Value) -> Self {
        let mut hasher = HASHING.build_hasher();
        // The kind comes first: no key of a type of its own has the hash of a text or a number, however
        // its user hashes it.
        match &value {
            Value::Text(text) => (0_u8, text).hash(&mut hasher),
            Value::Number(number) => (1_u8, number).hash(&mut hasher),
            Value::Other(key) => {
                2_u8.hash(&mut hasher);
                key.hash_to(&mut hasher);
            }
        }
        let hash = hasher.finish();
        Self(Arc::new(Hashed { hash, value }))
    }

    pub(crate) fn hash(&self) -> u64 {
        self.0.hash
    }

    /// Whether the two are clones of one another: to compare them is no foreign code then.
    pub(crate) fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether no foreign code is needed to compare this key with another.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(self.0.value, Value::Other(_))
    }

    /// Whether the two are equal, as far as is seen without foreign code.
    pub(crate) fn is_seen_to_be(&self, other: &Self) -> bool {
        self.is_clone_of(other) || (self.is_plain() && self == other)
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> AnyKey for K {
    fn equals(&self, other: &dyn AnyKey) -> bool {
        let other = other.as_any().downcast_ref::<K>();
        other.is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn hash_to(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }

    fn type_name(&self) -> &'static str {
        type_name::<K>()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        if self.is_clone_of(other) {
            return true;
        }
        self.0.hash == other.0.hash
            && match (&self.0.value, &other.0.value) {
                (Value::Text(this), Value::Text(other)) => this == other,
                (Value::Number(this), Value::Number(other)) => this == other,
                (Value::Other(this), Value::Other(other)) => this.equals(&**other),
                _ => false,
            }
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::of(Value::Text(text.into()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::of(Value::Text(text.into()))
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

macro_rules! from_numbers {
    ($($number:ty)*) => {
        $(impl From<$number> for Key {
            fn from(number: $number) -> Self {
                Self::of(Value::Number(i128::try_from(number).unwrap_or(i128::MAX)))
            }
        })*

        fn number(key: &dyn Any) -> Option<Key> {
            $(if let Some(number) = key.downcast_ref::<$number>() {
                return Some(Key::from(*number));
            })*
            // Larger ones are of a type of their own.
            let number = key.downcast_ref::<u128>()?;
            Some(Key::from(i128::try_from(*number).ok()?))
        }
    };
}

from_numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64 i128 isize);

macro_rules! texts {
    ($($text:ty)*) => {
        fn text(key: &dyn Any) -> Option<Key> {
            $(if let Some(text) = key.downcast_ref::<$text>() {
                return Some(Key::from(&**text));
            })*
            None
        }
    };
}

texts!(&'static str String Box<str> Arc<str> Cow<'static, str>);

/// The key of a text or a number, or a key. So it makes no difference how that comes here.
fn plain(key: &dyn Any) -> Option<Key> {
    let own = key.downcast_ref::<Key>().cloned();
    own.or_else(|| text(key)).or_else(|| number(key))
}

/// Texts and numbers as they are, other keys by their type.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.value {
            Value::Text(text) => text.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Other(key) => write!(f, "Key({})", (**key).type_name()),
        }
    }
}

/// The limits of each key.
#[derive(Clone, Default)]
pub(crate) struct KeyLimits {
    pub(crate) active: Option<PerKey<usize>>,
    pub(crate) rates: Option<PerKey<Vec<Rate>>>,
}

/// What all keys have, or how it is found for one: by foreign code.
#[derive(Clone)]
pub(crate) enum PerKey<T> {
    Same(T),
    Found(Arc<dyn Fn(&Key) -> T + Send + Sync>),
}

impl<T: Clone> PerKey<T> {
    fn of(&self, key: &Key) -> T {
        match self {
            Self::Same(limit) => limit.clone(),
            Self::Found(find) => find(key),
        }
    }
}

impl KeyLimits {
    /// How many jobs of a key may be active, and the rates of their starts.
    pub(crate) fn of(&self, key: &Key) -> (Option<NonZeroU32>, Vec<Rate>) {
        let active = self.active.as_ref().map(|active| match active.of(key) {
            0 => panic!(
                "the function for per_key_with gives 0 for the key {key:?}, which would never start a \
                 job: give at least 1, or pause the key"
            ),
            limit => checked_limit(limit),
        });
        let rates = self.rates.as_ref().map(|rates| rates.of(key));
        (active, rates.unwrap_or_default())
    }
}

/// A limit for the jobs of a key, or a panic at the caller of the call that was given it.
#[track_caller]
pub(crate) fn checked_limit(limit: usize) -> NonZeroU32 {
    // More of them than the core can count are never active.
    match NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX)) {
        Some(limit) => limit,
        None => panic!("a key with a limit of 0 never starts a job: allow at least 1, or pause it"),
    }
}

// What panics in a key is caught where that is called.
impl UnwindSafe for Key {}
impl RefUnwindSafe for Key {}

impl fmt::Debug for KeyLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLimits").finish_non_exhaustive()
    }
}

/// So that nobody who chooses keys can choose those that have one hash.
static HASHING: LazyLock<RandomState> = LazyLock::new(RandomState::new);

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_made_of_equal_values_are_equal() {
        assert_eq!(Key::from("a"), Key::new("a"));
        assert_eq!(Key::from("a"), Key::new(String::from("a")));
        assert_eq!(Key::from(1_u8), Key::from(1_isize));
        assert_eq!(Key::from("a"), Key::new(Box::<str>::from("a")));
        assert_eq!(Key::from("a"), Key::new(Arc::<str>::from("a")));
        assert_eq!(Key::from("a"), Key::new(Cow::Borrowed("a")));
        assert_eq!(Key::from("a"), Key::new(Key::from("a")));
        assert_eq!(Key::from(1), Key::new(1_u64));
        assert_eq!(Key::from(1), Key::new(1_u128));
        assert_ne!(Key::new(u128::MAX), Key::from(i128::MAX));
        assert_eq!(Key::new((1, "a")), Key::new((1, "a")));
        assert_ne!(Key::new((1, "a")), Key::new((1_u8, "a")));
        assert_ne!(Key::from("1"), Key::from(1));
        assert_ne!(Key::from(u64::MAX), Key::from(-1));
        assert_ne!(Key::new([1]), Key::from(1));
    }

    #[test]
    fn a_key_tells_what_it_was_made_of() {
        let [text, number, other] = [Key::from("a"), Key::from(7), Key::new((1, "a"))];
        assert_eq!(
            [&text, &number, &other].map(Key::as_str),
            [Some("a"), None, None]
        );
        assert_eq!(
            [&text, &number, &other].map(Key::as_i128),
            [None, Some(7), None]
        );
        assert_eq!(other.downcast_ref(), Some(&(1, "a")));
        assert_eq!(other.downcast_ref::<(i64, &str)>(), None);
        assert_eq!(text.downcast_ref::<&str>(), None);
    }

    #[test]
    fn a_limit_that_the_core_cannot_count_is_none() {
        if let Ok(limit) = usize::try_from(1_u64 << 32) {
            assert_eq!(checked_limit(limit).get(), u32::MAX);
        }
    }

    #[test]
    fn a_key_is_one_word() {
        assert_eq!(size_of::<Option<Key>>(), size_of::<usize>());
    }
}
