BEGIN TRANSACTION;
CREATE TABLE alarm_changes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	alarm INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	event TEXT NOT NULL, 
	"before" TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT fk_alarm_changes_alarm FOREIGN KEY(alarm) REFERENCES alarms (id)
);
INSERT INTO "alarm_changes" VALUES(1,1,1000,'system','raise','normal','unacknowledged','');
CREATE TABLE alarms (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	rule_version INTEGER NOT NULL, 
	object TEXT NOT NULL, 
	space TEXT NOT NULL, 
	episode TEXT NOT NULL, 
	state TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	latched BOOLEAN NOT NULL, 
	raised_at BIGINT NOT NULL, 
	recorded_at BIGINT NOT NULL, 
	point TEXT NOT NULL, 
	value FLOAT, 
	"limit" FLOAT, 
	unit TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	cleared_at BIGINT, 
	ended_at BIGINT, 
	acknowledged_at BIGINT, 
	acknowledged_by TEXT NOT NULL, 
	shelved_until BIGINT, 
	shelve_reason TEXT NOT NULL, 
	root INTEGER, 
	ticket INTEGER, 
	affected INTEGER NOT NULL, 
	late BOOLEAN NOT NULL, 
	test BOOLEAN NOT NULL, 
	disproved BOOLEAN NOT NULL, 
	ticket_due BIGINT, 
	CONSTRAINT fk_alarms_root FOREIGN KEY(root) REFERENCES alarms (id), 
	CONSTRAINT fk_alarms_ticket FOREIGN KEY(ticket) REFERENCES tickets (id), 
	CONSTRAINT uq_alarms_site_rule_object_episode UNIQUE (site, rule, object, episode)
);
INSERT INTO "alarms" VALUES(1,'site','water.burst',1,'A-1204-water','A/12/1204','e1','unacknowledged',2,0,1000,1000,'flow',4.8,3.0,'m3/h','alarm.burst','{"value":4.8}',NULL,NULL,NULL,'',NULL,'',NULL,1,0,0,0,0,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE attributes (
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_attributes PRIMARY KEY (site, device, name)
);
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	target TEXT NOT NULL, 
	detail TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,'site',1000,'system','ticket.open','1','');
CREATE TABLE blobs (
	site TEXT NOT NULL, 
	name TEXT NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_blobs PRIMARY KEY (site, name)
);
INSERT INTO "blobs" VALUES('site','rules',X'0102');
CREATE TABLE changes (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL
);
INSERT INTO "changes" VALUES(1,'site',1000,'ticket','1');
CREATE TABLE counters (
	site TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (site, name)
);
INSERT INTO "counters" VALUES('site','ticket',1);
CREATE TABLE cursors (
	site TEXT NOT NULL, 
	reader TEXT NOT NULL, 
	lane INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	CONSTRAINT pk_cursors PRIMARY KEY (site, reader, lane)
);
INSERT INTO "cursors" VALUES('site','watch',1,7);
CREATE TABLE devices (
	site TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	device_class TEXT NOT NULL, 
	profile TEXT NOT NULL, 
	address TEXT NOT NULL, 
	space TEXT NOT NULL, 
	parameters TEXT NOT NULL, 
	status TEXT NOT NULL, 
	interval_s INTEGER, 
	CONSTRAINT pk_devices PRIMARY KEY (site, id)
);
INSERT INTO "devices" VALUES('site','A-1204-water','水表 1204','water_meter','vendor/model','12345678','A/12/1204','{"dn":15}','active',NULL);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	point INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	event_id TEXT NOT NULL, 
	code TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	message INTEGER NOT NULL, 
	CONSTRAINT uq_events_site_point_at_event_id UNIQUE (site, point, at, event_id)
);
CREATE TABLE exchanges (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	point TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	closing BIGINT NOT NULL, 
	opening BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	step TEXT, 
	digits INTEGER, 
	multiplier TEXT, 
	CONSTRAINT uq_exchanges_site_device_point_at UNIQUE (site, device, point, at)
);
CREATE TABLE login_failures (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" TEXT NOT NULL, 
	at BIGINT NOT NULL
);
CREATE TABLE occurrences (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	object TEXT NOT NULL, 
	due BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	ticket INTEGER, 
	done_at BIGINT, 
	evidence TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	CONSTRAINT fk_occurrences_ticket FOREIGN KEY(ticket) REFERENCES tickets (id), 
	CONSTRAINT uq_occurrences_site_plan_object_due UNIQUE (site, "plan", object, due)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	dedupe TEXT NOT NULL, 
	person TEXT NOT NULL, 
	url TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	state TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	next_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	last_error TEXT NOT NULL, 
	sent_at BIGINT, 
	CONSTRAINT uq_outbox_site_dedupe UNIQUE (site, dedupe)
);
CREATE TABLE people (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	login TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	language TEXT NOT NULL, 
	password_hash TEXT NOT NULL, 
	contacts TEXT NOT NULL, 
	skills TEXT NOT NULL, 
	active BOOLEAN NOT NULL, 
	CONSTRAINT uq_people_login UNIQUE (login)
);
INSERT INTO "people" VALUES(1,'site','wang','王工','operator','zh-CN','','["mailto://example.org"]','["plumber"]',1);
CREATE TABLE period_reads (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	point TEXT NOT NULL, 
	cut_off BIGINT NOT NULL, 
	steps BIGINT, 
	at BIGINT, 
	flag TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	method TEXT NOT NULL, 
	source TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT uq_period_reads_site_device_point_cut_off_version UNIQUE (site, device, point, cut_off, version)
);
CREATE TABLE points (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	device TEXT NOT NULL, 
	name TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	step TEXT, 
	digits INTEGER, 
	interval_s INTEGER, 
	low FLOAT, 
	high FLOAT, 
	labels TEXT NOT NULL, 
	CONSTRAINT fk_points_site_device FOREIGN KEY(site, device) REFERENCES devices (site, id), 
	CONSTRAINT uq_points_site_device_name UNIQUE (site, device, name)
);
INSERT INTO "points" VALUES(1,'site','A-1204-water','volume','volume','m3','counter','0.001',8,NULL,NULL,NULL,'{}');
CREATE TABLE sessions (
	token_hash TEXT NOT NULL, 
	person INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (token_hash), 
	CONSTRAINT fk_sessions_person FOREIGN KEY(person) REFERENCES people (id)
);
CREATE TABLE statements (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	number TEXT NOT NULL, 
	period TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	start BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	usages TEXT NOT NULL, 
	lines TEXT NOT NULL, 
	total BIGINT NOT NULL, 
	currency TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	area TEXT, 
	shared TEXT NOT NULL, 
	corrections TEXT NOT NULL, 
	CONSTRAINT uq_statements_site_number UNIQUE (site, number), 
	CONSTRAINT uq_statements_site_period_unit_version UNIQUE (site, period, unit, version)
);
CREATE TABLE ticket_changes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	ticket INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	event TEXT NOT NULL, 
	"before" TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT fk_ticket_changes_ticket FOREIGN KEY(ticket) REFERENCES tickets (id)
);
INSERT INTO "ticket_changes" VALUES(1,1,1000,'system','open','open','open','');
CREATE TABLE tickets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	site TEXT NOT NULL, 
	number TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	object TEXT NOT NULL, 
	space TEXT NOT NULL, 
	opened_at BIGINT NOT NULL, 
	respond_by BIGINT, 
	cause TEXT NOT NULL, 
	alarm BIGINT, 
	assignee TEXT NOT NULL, 
	reporter TEXT NOT NULL, 
	contact TEXT NOT NULL, 
	text TEXT NOT NULL, 
	dispatched_at BIGINT, 
	accepted_at BIGINT, 
	done_at BIGINT, 
	closed_at BIGINT, 
	CONSTRAINT uq_tickets_site_number UNIQUE (site, number)
);
INSERT INTO "tickets" VALUES(1,'site','WO-000001','alarm','open',2,'alarm.burst','{"value":4.8}','A-1204-water','A/12/1204',1000,601000,'water.burst|A-1204-water',NULL,'','','','',NULL,NULL,NULL,NULL);
CREATE TABLE tokens (
	token_hash TEXT NOT NULL, 
	site TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked BOOLEAN NOT NULL, 
	CONSTRAINT pk_tokens PRIMARY KEY (token_hash)
);
CREATE UNIQUE INDEX one_device_per_address ON devices (site, profile, address) WHERE status <> 'withdrawn';
CREATE UNIQUE INDEX one_ticket_per_cause ON tickets (site, cause) WHERE state NOT IN ('closed', 'cancelled');
CREATE UNIQUE INDEX one_token_per_name ON tokens (site, name) WHERE NOT revoked;
CREATE UNIQUE INDEX one_open_episode ON alarms (site, rule, object) WHERE ended_at IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('points',1);
INSERT INTO "sqlite_sequence" VALUES('tickets',1);
INSERT INTO "sqlite_sequence" VALUES('alarms',1);
INSERT INTO "sqlite_sequence" VALUES('alarm_changes',1);
INSERT INTO "sqlite_sequence" VALUES('ticket_changes',1);
INSERT INTO "sqlite_sequence" VALUES('people',1);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
INSERT INTO "sqlite_sequence" VALUES('changes',1);
COMMIT;
