//! The words of statements, and of what lowers them.

use crate::model::closed_set;

closed_set! {
    /// What can be said of a zone.
    pub enum AbsenceWord {
        /// It was seen.
        Seen = "seen",
        /// It was not, and would have been.
        WouldHaveBeenSeen = "not_seen_would_have_been_seen",
        /// It was not, which says little.
        Weak = "not_seen_weak",
        /// Nothing by which it could be seen is known.
        CannotBeSeen = "cannot_be_seen",
    }
}

impl AbsenceWord {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::WouldHaveBeenSeen => "not seen (would have been seen)",
            Self::Weak => "not seen (weak)",
            Self::CannotBeSeen => "cannot be seen",
        }
    }
}

closed_set! {
    /// What lowers a statement.
    pub enum CauseWord {
        /// The zone was watched for less time than it takes.
        Short = "short",
        /// There are hours without a packet of the zone: the mirror was gone, or everything was off.
        SilentHours = "silent_hours",
        /// No host of the zone was seen to send anything out, or to show a name.
        NotWatched = "not_watched",
        /// No outbound flow tells what share can be seen.
        NoOutbound = "no_outbound",
        /// How often it contacts anybody is neither measured nor stated by a source.
        IntervalUnknown = "interval_unknown",
        /// Hosts were watched for too few of its contact intervals.
        FewIntervals = "few_intervals",
        /// The chance of a miss is too high.
        MissChance = "miss_chance",
        /// Too much of what leaves shows no name.
        Hidden = "hidden",
        /// Of too many connections one side only came by.
        OneWay = "one_way",
        /// Packets were lost before the capture.
        Loss = "loss",
        /// Hosts use encrypted DNS: what they ask for cannot be seen.
        EncryptedDns = "encrypted_dns",
        /// Hosts never showed a name: whatever they contact cannot be seen.
        NeverNamed = "never_named",
        /// Questions for vendors' names were denied or led nowhere, as a filter (RPZ, sinkhole) does: who is blocked only asks.
        NamesDenied = "names_denied",
        /// Everything that was seen of it were attempts that nobody answered.
        OnlyAttempted = "only_attempted",
        /// It shows only partly on the wire.
        PartlyVisible = "partly_visible",
        /// Parts of it show less than the whole.
        LessVisibleParts = "less_visible_parts",
        /// There were more zones, hours or hosts than there is room for.
        NoRoom = "no_room",
    }
}
