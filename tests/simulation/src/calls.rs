//! The registry of everything that leaves a process.
//!
//! Store, warehouse, dbt and events are reached through traits, and [`observed`](crate::observed) wraps each of their
//! methods under a name of this list. The wrappers may not inherit a method, so a method that is added to a trait and
//! not listed here does not build.

macro_rules! calls {
    ($($(#[$documentation:meta])* $call:ident = $name:literal,)*) => {
        /// A kind of call that leaves the process.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($(#[$documentation])* $call,)*
        }

        impl Call {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$call),*];

            /// `store.put`, `warehouse.seal` ...
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$call => $name,)*
                }
            }
        }
    };
}

calls! {
    StoreGet = "store.get",
    StoreHead = "store.head",
    StorePut = "store.put",
    StorePutVolatile = "store.put_volatile",
    StoreUpload = "store.upload",
    StoreWrite = "store.write",
    StoreFinish = "store.finish",
    StoreDelete = "store.delete",
    StoreList = "store.list",
    WarehouseLoad = "warehouse.load",
    WarehouseLoaded = "warehouse.loaded",
    WarehouseCreate = "warehouse.create",
    WarehousePin = "warehouse.pin",
    WarehouseAdopt = "warehouse.adopt",
    WarehouseRelations = "warehouse.relations",
    WarehouseDropRelations = "warehouse.drop_relations",
    WarehouseColumns = "warehouse.columns",
    WarehouseSeal = "warehouse.seal",
    WarehouseFingerprint = "warehouse.fingerprint",
    WarehouseDryRun = "warehouse.dry_run",
    WarehouseConverge = "warehouse.converge",
    /// Inside of `converge`, where views are moved one by one.
    ViewFind = "view.find",
    ViewChange = "view.change",
    ViewIsOurs = "view.is_ours",
    ViewDrop = "view.drop",
    ViewLabel = "view.label",
    WarehouseDifferences = "warehouse.differences",
    WarehousePublished = "warehouse.published",
    WarehouseQuery = "warehouse.query",
    WarehouseQueryTwo = "warehouse.query_two",
    WarehouseDigest = "warehouse.digest",
    WarehouseRestore = "warehouse.restore",
    WarehouseCancel = "warehouse.cancel",
    WarehouseSlots = "warehouse.slots",
    WarehouseSlotBytes = "warehouse.slot_bytes",
    WarehouseDropSlot = "warehouse.drop_slot",
    DbtProject = "dbt.project",
    DbtRun = "dbt.run",
    /// Inside of `run`, where models are built one by one.
    DbtModel = "dbt.model",
    DbtTest = "dbt.test",
    EventPublish = "events.publish",
    /// A workflow's call of a function.
    FunctionCall = "function.call",
}
