//! The names flows ask for, and which vendor each belongs to: the generator's own table.
//!
//! It is written by hand from vendors' documentation and shares nothing with the rules of the
//! program under test, so that it can show those rules wrong.

use super::random::Random;

/// A name with its owner.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The host name as it is sent.
    pub host: &'static str,
    /// The security vendor it belongs to; `None` for a name of no security product.
    pub vendor: Option<&'static str>,
    /// The vendor of an engine that is embedded in the product asking for this name.
    pub engine: Option<&'static str>,
}

/// Vendor names, most common first within a vendor.
const VENDORS: &[(&str, &[&str])] = &[
    (
        "kaspersky",
        &[
            "dc1.ksn.kaspersky-labs.com",
            "dc1-file.ksn.kaspersky-labs.com",
            "s00.upd.kaspersky.com",
            "s01.upd.kaspersky.com",
            "s02.upd.kaspersky.com",
            "s03.upd.kaspersky.com",
            "s07.upd.kaspersky.com",
            "s13.upd.kaspersky.com",
            "s19.upd.kaspersky.com",
            "downloads.upd.kaspersky.com",
            "activation-v2.kaspersky.com",
            "touch.kaspersky.com",
        ],
    ),
    (
        "checkpoint",
        &[
            "updates.checkpoint.com",
            "secureupdates.checkpoint.com",
            "avupdates.checkpoint.com",
            "gwevents.checkpoint.com",
            "te.checkpoint.com",
        ],
    ),
    (
        "eset",
        &[
            "edf.eset.com",
            "epns.eset.com",
            "ts.eset.com",
            "register.eset.com",
            "expire.eset.com",
            "a.cwip.eset.com",
            "i1.cwip.eset.com",
            "h1-c01-b.eset.com",
            "h3-c02-b.eset.com",
            "r.edtd.eset.com",
        ],
    ),
    (
        "microsoft",
        &[
            "wdcp.microsoft.com",
            "wdcpalt.microsoft.com",
            "cp.wd.microsoft.com",
            "europe.cp.wd.microsoft.com",
            "unitedstates.cp.wd.microsoft.com",
            "edr-weu.eu.endpoint.security.microsoft.com",
            "edr-neu.eu.endpoint.security.microsoft.com",
            "eu-v20.events.endpoint.security.microsoft.com",
            "mdav.eu.endpoint.security.microsoft.com",
        ],
    ),
    (
        "crowdstrike",
        &[
            "ts01-b.cloudsink.net",
            "ts01-gyr-maverick.cloudsink.net",
            "ts01-lanner-lion.cloudsink.net",
            "lfodown01-b.cloudsink.net",
            "lfodown01-gyr-maverick.cloudsink.net",
            "lfodown01-lanner-lion.cloudsink.net",
        ],
    ),
    (
        "bitdefender",
        &[
            "nimbus.bitdefender.net",
            "eu.nimbus.bitdefender.net",
            "elb-fra-gcp.nimbus.bitdefender.net",
            "cloud-ecs.gravityzone.bitdefender.com",
            "cloudgz-ecs.gravityzone.bitdefender.com",
            "update-cloud.2d585.cdn.bitdefender.net",
            "submit.bitdefender.com",
        ],
    ),
    (
        "qihoo360",
        &[
            "cloud.360safe.com",
            "stat.360safe.com",
            "mclean.cloud.360safe.com",
            "mvconf.cloud.360safe.com",
            "mvconf.f.360.cn",
        ],
    ),
    (
        "drweb",
        &[
            "update.drweb.com",
            "update.geo.drweb.com",
            "update.msk.drweb.com",
            "update.msk5.drweb.com",
            "update.fr1.drweb.com",
        ],
    ),
    (
        "avast",
        &[
            "analytics.ff.avast.com",
            "filerep-replica-win.ff.avast.com",
            "shepherd.ff.avast.com",
            "shepherd.avcdn.net",
            "stream-production.avcdn.net",
            "urlite.ff.avast.com",
            "analytics.avcdn.net",
        ],
    ),
    (
        "sophos",
        &[
            "4.sophosxl.net",
            "sdds3.sophosupd.com",
            "d1.sophosupd.com",
            "dci.sophosupd.com",
            "t1.sophosupd.com",
            "mcs2-cloudstation-eu-central-1.prod.hydra.sophos.com",
            "mcs2-cloudstation-us-west-2.prod.hydra.sophos.com",
            "central.sophos.com",
        ],
    ),
];

/// Check Point fetches signatures for the Kaspersky engine inside its gateways under its own names.
const EMBEDDED: &[(&str, &str, &str)] = &[
    ("kav8.checkpoint.com", "checkpoint", "kaspersky"),
    ("kav8.zonealarm.com", "checkpoint", "kaspersky"),
];

/// Names of no security product that offices use all day.
const OTHERS: &[&str] = &[
    "www.wikipedia.org",
    "en.wikipedia.org",
    "upload.wikimedia.org",
    "github.com",
    "api.github.com",
    "raw.githubusercontent.com",
    "avatars.githubusercontent.com",
    "packages.example.org",
    "security.debian.org",
    "archive.ubuntu.com",
    "crates.io",
    "index.crates.io",
    "doc.rust-lang.org",
    "pypi.org",
    "www.openstreetmap.org",
    "tile.openstreetmap.org",
    "slack.com",
    "wss-primary.slack.com",
    "zoom.us",
    "www.dropbox.com",
    "client.dropbox.com",
    "www.heise.de",
    "www.spiegel.de",
    "www.bbc.co.uk",
    "static.files.bbci.co.uk",
    "www.theguardian.com",
    "i.guim.co.uk",
    "www.nytimes.com",
    "www.lemonde.fr",
    "www.bahn.de",
    "www.dhl.de",
    "www.ups.com",
    "www.booking.com",
    "www.ikea.com",
    "www.adobe.com",
    "use.typekit.net",
    "fonts.gstatic.com",
    "www.gstatic.com",
    "cdn.jsdelivr.net",
    "cdnjs.cloudflare.com",
    "unpkg.com",
    "js.stripe.com",
    "api.stripe.com",
    "www.paypal.com",
    "www.sap.com",
    "eu.salesforce.com",
    "www.atlassian.com",
    "stackoverflow.com",
    "cdn.sstatic.net",
    "i.stack.imgur.com",
    "news.ycombinator.com",
    "www.reddit.com",
    "open.spotify.com",
    "audio-fa.scdn.co",
    "www.youtube.com",
    "i.ytimg.com",
    "www.linkedin.com",
    // Look-alikes and neighbours that a careless pattern would take for a vendor.
    "notkaspersky.com",
    "kaspersky.com.example.net",
    "eset.com.example.org",
    "www.asset.com",
    "sophosxl.net.example.com",
];

/// Names of the home network itself.
const INTERNAL: &[&str] = &[
    "intranet.example.internal",
    "wiki.example.internal",
    "git.example.internal",
    "mail.example.internal",
    "files.example.internal",
    "proxy.example.internal",
];

/// All names with their owners; a name is known by its index.
pub struct Names {
    all: Vec<Name>,
    /// Index ranges of the vendors' names, one per vendor, then the embedded engines'.
    vendors: Vec<(usize, usize)>,
    others: (usize, usize),
    internal: (usize, usize),
}

impl Names {
    /// The built-in table.
    pub fn new() -> Self {
        let mut all = Vec::new();
        let mut vendors = Vec::new();
        for (vendor, names) in VENDORS {
            let start = all.len();
            all.extend(names.iter().map(|name| Name {
                host: name,
                vendor: Some(*vendor),
                engine: None,
            }));
            vendors.push((start, all.len()));
        }
        let start = all.len();
        all.extend(EMBEDDED.iter().map(|(name, vendor, engine)| Name {
            host: name,
            vendor: Some(*vendor),
            engine: Some(*engine),
        }));
        vendors.push((start, all.len()));
        let plain = |name: &&'static str| Name {
            host: name,
            vendor: None,
            engine: None,
        };
        let start = all.len();
        all.extend(OTHERS.iter().map(plain));
        let others = (start, all.len());
        all.extend(INTERNAL.iter().map(plain));
        let internal = (others.1, all.len());
        Self {
            all,
            vendors,
            others,
            internal,
        }
    }

    /// The name at `index`.
    pub fn name(&self, index: u16) -> Name {
        self.all[usize::from(index)]
    }

    /// A name a client at home asks a server outside for: one in three of a security vendor.
    pub fn pick(&self, random: &mut Random) -> u16 {
        if random.one_in(3) {
            let range = *random.pick(&self.vendors);
            Self::within(range, random)
        } else {
            self.pick_other(random)
        }
    }

    /// A name of no security product.
    pub fn pick_other(&self, random: &mut Random) -> u16 {
        Self::within(self.others, random)
    }

    /// A name of the home network.
    pub fn pick_internal(&self, random: &mut Random) -> u16 {
        Self::within(self.internal, random)
    }

    /// The first names in the table are asked for more often than the last.
    fn within((start, end): (usize, usize), random: &mut Random) -> u16 {
        let count = (end - start) as u64;
        let offset = random.below(count).min(random.below(count));
        (start as u64 + offset) as u16
    }
}
