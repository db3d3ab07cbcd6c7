//! The closed sets of words that policies, findings and metrics share.

use crate::model::closed_set;

closed_set! {
    /// What an organisation says it is; a policy binds those with one of its roles. None is assumed.
    pub enum Role {
        /// A department or agency of the federal executive branch, other than of defense.
        UsFederalCivilianAgency = "us-federal-civilian-agency",
        /// A department or agency of defense.
        UsFederalDefenseAgency = "us-federal-defense-agency",
        /// An element of the Intelligence Community, a contractor for one, or a system with sensitive compartmented information.
        UsIntelligenceCommunity = "us-intelligence-community",
        /// A contractor or subcontractor of the federal government, where the contract's work is done.
        UsFederalContractor = "us-federal-contractor",
        /// A person or company of the United States, or one that works there.
        UsPerson = "us-person",
        /// A carrier that receives universal service support.
        UsUniversalServiceRecipient = "us-universal-service-recipient",
        /// Who exports goods that fall under United States export control.
        UsExporter = "us-exporter",
        /// Any organisation in Germany.
        DeOrganisation = "de-organisation",
        /// A Lithuanian public body, or a manager of critical information infrastructure.
        LtCriticalInfrastructure = "lt-critical-infrastructure",
        /// A body of the Canadian federal government.
        CaFederalGovernment = "ca-federal-government",
        /// An entity of the Australian government.
        AuGovernmentEntity = "au-government-entity",
        /// A department of the government of the United Kingdom.
        GbGovernmentDepartment = "gb-government-department",
        /// A body of the Dutch central government.
        NlCentralGovernment = "nl-central-government",
        /// A Dutch company of a vital sector, or a supplier of defence.
        NlVitalSector = "nl-vital-sector",
        /// An Italian public administration.
        ItPublicAdministration = "it-public-administration",
        /// An institution of the European Union.
        EuInstitution = "eu-institution",
        /// An entity of the Polish national cybersecurity system.
        PlCybersecuritySystem = "pl-cybersecurity-system",
        /// A Romanian public authority or institution.
        RoPublicAuthority = "ro-public-authority",
        /// A Russian state body, state corporation, or subject of critical information infrastructure.
        RuCriticalInfrastructure = "ru-critical-infrastructure",
        /// A company in China.
        CnCompany = "cn-company",
    }
}

closed_set! {
    /// What a policy is.
    pub enum PolicyKind {
        /// Use, provision or acquisition is barred.
        Prohibition = "prohibition",
        /// Use is advised against; nobody is forced.
        Advice = "advice",
        /// Reported by the press; nothing official was published.
        Reported = "reported",
        /// Says something about the vendor and forbids no use: never indicated.
        Information = "information",
        /// An organisation's own.
        Own = "own",
    }
}

closed_set! {
    /// Whether a policy reaches a vendor's engines inside the products of others.
    pub enum Embedded {
        /// It does.
        Covered = "covered",
        /// It does not.
        Excluded = "excluded",
        /// Its text, as far as it was read, does not say.
        Unclear = "unclear",
    }
}

closed_set! {
    /// How far the source of a fact was read, least first.
    pub enum ReadStatus {
        /// Not found: from memory. Such a fact never raises a severity above `info`.
        Memory = "memory",
        /// A part of the source, or a report that mentions it.
        PartlyRead = "partly_read",
        /// The source, or a report with its substance.
        Read = "read",
    }
}

closed_set! {
    /// What a fact of a policy file supports.
    pub enum FactAbout {
        /// Whom the policy is about.
        Subject = "subject",
        /// Whom it binds.
        Binds = "binds",
        /// Whether it reaches engines inside others' products.
        Embedded = "embedded",
        /// Its days.
        Dates = "dates",
        /// The services it is about.
        Purposes = "purposes",
        /// What it exempts.
        Exemption = "exemption",
        /// When reports are due.
        Clock = "clock",
        /// For readers; nothing is decided by it.
        Note = "note",
    }
}

closed_set! {
    /// What the evidence says about one exposure under one policy.
    pub enum Outcome {
        /// The evidence indicates what the policy is about.
        Indicates = "indicates",
        /// It would, if people or the policy had not made an exception.
        Exempt = "exempt",
        /// The evidence does not suffice, or people must say more.
        Undetermined = "undetermined",
        /// The policy does not reach this.
        NotApplicable = "not_applicable",
    }
}

closed_set! {
    /// Why a judgement is what it is.
    pub enum Reason {
        /// The vendor's product is what the policy is about.
        Product = "product",
        /// The engine inside another vendor's product is what the policy is about.
        EmbeddedEngine = "embedded_engine",
        /// The vendor's engine or cloud was contacted; the policy reaches its products and its engines inside others' alike.
        EngineOrCloud = "engine_or_cloud",
        /// An exemption covers it.
        Exemption = "exemption",
        /// The organisation has declared no role that the policy binds.
        RoleNotDeclared = "role_not_declared",
        /// Neither vendor nor engine is what the policy is about.
        OtherVendor = "other_vendor",
        /// The engine inside is, and the policy does not reach engines inside others' products.
        EmbeddedNotCovered = "embedded_not_covered",
        /// The host is in none of the policy's zones.
        OtherZone = "other_zone",
        /// Web sites were visited: no use of a product.
        WebVisit = "web_visit",
        /// Services were contacted that the policy is not about.
        OtherPurpose = "other_purpose",
        /// All contacts lie before the policy's first day.
        BeforeItsDays = "before_its_days",
        /// All contacts lie after the policy's last day.
        AfterItsDays = "after_its_days",
        /// The policy informs, and forbids no use.
        ForbidsNoUse = "forbids_no_use",
        /// It is not known which service was contacted.
        PurposeUnknown = "purpose_unknown",
        /// Contacts lie before and after its days; whether any lies between is not known.
        DaysUnknown = "days_unknown",
        /// The host speaks for others: who used the product is not known.
        Relay = "relay",
        /// The evidence is of low confidence.
        LowConfidence = "low_confidence",
        /// Every rule that knew the names is unverified.
        Unverified = "unverified",
        /// The vendor's engine or cloud was contacted; whose product did so is not known.
        ProductUnknown = "product_unknown",
        /// The engine inside is; whether the policy reaches engines inside others' products is not known.
        EmbeddedUnclear = "embedded_unclear",
        /// The policy asks for something that no packet shows.
        ConditionOpen = "condition_open",
        /// Contacts were seen, and they do not suffice for an installed product.
        NotShownInstalled = "not_shown_installed",
        /// The service was asked for or tried and not seen to be reached.
        NotReached = "not_reached",
    }
}

closed_set! {
    /// Why a policy is judged by at all.
    pub enum Basis {
        /// It was named on the command line, whatever roles are declared.
        Named = "named",
        /// A declared role is one that it binds.
        Role = "role",
        /// The organisation took it over by its configuration.
        Adopted = "adopted",
        /// It is the organisation's own.
        Own = "own",
    }
}

closed_set! {
    /// How days are counted.
    pub enum DayKind {
        /// Monday to Friday, federal holidays of the United States left out.
        BusinessUsFederal = "business_us_federal",
        /// Every day.
        Calendar = "calendar",
    }
}

closed_set! {
    /// What a person does that starts a clock. No packet does.
    pub enum ClockStart {
        /// A person identified the case.
        Identification = "identification",
        /// A person sent the first report.
        FirstReport = "first_report",
    }
}

impl Reason {
    /// The reason in words, for a report.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Product => "a product of the vendor that the policy is about",
            Self::EmbeddedEngine => {
                "the engine inside is of the vendor that the policy is about, and it reaches engines inside others' products"
            }
            Self::EngineOrCloud => {
                "the vendor's engine or cloud was contacted, and the policy reaches its products and its engines inside others' alike"
            }
            Self::Exemption => "an exemption covers it",
            Self::RoleNotDeclared => "no declared role is bound by the policy",
            Self::OtherVendor => "neither vendor nor engine is what the policy is about",
            Self::EmbeddedNotCovered => {
                "the engine inside is of the vendor that the policy is about, and it does not reach engines inside others' products"
            }
            Self::OtherZone => "the host is in none of the policy's zones",
            Self::WebVisit => "only web sites were visited, which is no use of a product",
            Self::OtherPurpose => "the policy is not about the services that were contacted",
            Self::BeforeItsDays => "all contacts lie before the policy's first day",
            Self::AfterItsDays => "all contacts lie after the policy's last day",
            Self::ForbidsNoUse => "the policy says something about the vendor and forbids no use",
            Self::PurposeUnknown => "it is not known which service was contacted",
            Self::DaysUnknown => {
                "contacts lie before and after the policy's days; whether any lies between is not known"
            }
            Self::Relay => "the host speaks for others",
            Self::LowConfidence => "the evidence is of low confidence",
            Self::Unverified => "every rule that knew the names is unverified",
            Self::ProductUnknown => {
                "the vendor's engine or cloud was contacted, and whose product did so is not known"
            }
            Self::EmbeddedUnclear => {
                "the engine inside is of the vendor that the policy is about, and whether it reaches engines inside others' products is not known"
            }
            Self::ConditionOpen => "the policy asks for something that no packet shows",
            Self::NotShownInstalled => "what was seen does not suffice for an installed product",
            Self::NotReached => "the service was asked for or tried, and not seen to be reached",
        }
    }
}
