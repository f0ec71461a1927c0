BEGIN TRANSACTION;
CREATE TABLE boots (
	box VARCHAR(63) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	counter BIGINT NOT NULL, 
	PRIMARY KEY (box, boot_id)
);
INSERT INTO "boots" VALUES('demo-1','boot-of-demo-1',4);
INSERT INTO "boots" VALUES('demo-2','boot-of-demo-2',2);
CREATE TABLE boxes (
	name VARCHAR(63) NOT NULL, 
	public_key VARCHAR(64) NOT NULL, 
	enrolled BIGINT NOT NULL, 
	revoked BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "boxes" VALUES('demo-1','6b01c344dbe5827bec3e711f9debb1e0cf4bf98478461b140c813fb873f88591',1795804335,0);
INSERT INTO "boxes" VALUES('demo-2','c4b887415867511379218b2aeb2e7daf360eb7adb33f74608f348288aa9eb18a',1795804335,0);
INSERT INTO "boxes" VALUES('demo-3','85961c6be2cfc730781518508f58b9cdcf0d9e177de0fb2910a31c3c73e4d0ef',1795804335,1795804335);
CREATE TABLE candidates (
	box VARCHAR(63) NOT NULL, 
	box_key VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (box)
);
INSERT INTO "candidates" VALUES('demo-2','next-key-of-demo-2','{"addon":{"sha256":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":3},"document":{"sha256":"ac1d4f0c4a19121b39ef016f0a37bdd6d62d902d1ad588139bc8a471ef8dcd1b","size":678},"release":{"box":"demo-2","content":{"cmdline":"quiet 8","containers":[{"layers":[{"root":"a0f11338d695ecc1c8e1983ed09caf43bdb8894ea098e337a2cce243981cd439","size":8192}],"path":"services/hello","target":"rootfs"}],"health":{"checks":[{"contains":"hello","name":"hello","status":200,"target":"http://127.0.0.1:8080/","timeout":10,"type":"http"}],"probation":30},"initrd":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"kernel":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"root":[{"root":"a0f11338d695ecc1c8e1983ed09caf43bdb8894ea098e337a2cce243981cd439","size":8192}]},"sequence":8},"revision":{"commit":"0000000000000000000000000000000000000008","evidence":[],"ref":"main","sequence":8,"signers":["ada@example"],"subject":"change 8","tagged":false,"time":1790000000},"uki":{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":12}}');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	time BIGINT NOT NULL, 
	box VARCHAR(63) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "events" VALUES(1,1795804335,'demo-1','Normal','Published','main: the first box goes');
INSERT INTO "events" VALUES(2,1795804335,'','Warning','Forge','503');
CREATE TABLE images (
	"key" VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "images" VALUES('1111111111111111111111111111111111111111111111111111111111111111','{"config":{"Env":["A=b"]},"key":"1111111111111111111111111111111111111111111111111111111111111111","layers":["dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"],"reference":"toweros/hello:1"}');
CREATE TABLE layers (
	diff_id VARCHAR(64) NOT NULL, 
	recipe INTEGER NOT NULL, 
	root VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (diff_id, recipe)
);
INSERT INTO "layers" VALUES('dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',4096);
CREATE TABLE publications (
	box VARCHAR(63) NOT NULL, 
	box_key VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (box)
);
INSERT INTO "publications" VALUES('demo-1','key-of-demo-1','{"addon":{"sha256":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":3},"document":{"sha256":"3d01a7c90e1b45bc53b9059980387508039a713d17ff8333159066a787fc3f28","size":676},"release":{"box":"demo-1","content":{"cmdline":"quiet","containers":[{"layers":[{"root":"008f0747f4e27c8462baa991a538025bcc2dd143e78422f1afbdfcd9e757a20f","size":8192}],"path":"services/hello","target":"rootfs"}],"health":{"checks":[{"contains":"hello","name":"hello","status":200,"target":"http://127.0.0.1:8080/","timeout":10,"type":"http"}],"probation":30},"initrd":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"kernel":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"root":[{"root":"008f0747f4e27c8462baa991a538025bcc2dd143e78422f1afbdfcd9e757a20f","size":8192}]},"sequence":7},"revision":{"commit":"0000000000000000000000000000000000000007","evidence":[],"ref":"main","sequence":7,"signers":["ada@example"],"subject":"change 7","tagged":false,"time":1790000000},"uki":{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":12}}');
INSERT INTO "publications" VALUES('demo-2','key-of-demo-2','{"addon":{"sha256":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":3},"document":{"sha256":"6743d69db06e82fd06a3e0f06a21281298cd574ecc38440a4a0a19651e2a8c73","size":676},"release":{"box":"demo-2","content":{"cmdline":"quiet","containers":[{"layers":[{"root":"008f0747f4e27c8462baa991a538025bcc2dd143e78422f1afbdfcd9e757a20f","size":8192}],"path":"services/hello","target":"rootfs"}],"health":{"checks":[{"contains":"hello","name":"hello","status":200,"target":"http://127.0.0.1:8080/","timeout":10,"type":"http"}],"probation":30},"initrd":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"kernel":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"root":[{"root":"008f0747f4e27c8462baa991a538025bcc2dd143e78422f1afbdfcd9e757a20f","size":8192}]},"sequence":7},"revision":{"commit":"0000000000000000000000000000000000000007","evidence":[],"ref":"main","sequence":7,"signers":["ada@example"],"subject":"change 7","tagged":false,"time":1790000000},"uki":{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":12}}');
INSERT INTO "publications" VALUES('demo-3','key-of-demo-3','{"addon":{"sha256":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":3},"document":{"sha256":"dcf4d02c0b8cdc19921f56b373df6ee324dd776b0b5de36232e7a9b2c3b49b0f","size":690},"release":{"box":"demo-3","content":{"cmdline":"quiet console=ttyS0","containers":[{"layers":[{"root":"e88e0dd031cb761342559e5ce8a916916b8800a3e5dc1026792f2e4b270db2cd","size":8192}],"path":"services/hello","target":"rootfs"}],"health":{"checks":[{"contains":"hello","name":"hello","status":200,"target":"http://127.0.0.1:8080/","timeout":10,"type":"http"}],"probation":30},"initrd":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"kernel":{"sha256":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","size":9000000},"root":[{"root":"e88e0dd031cb761342559e5ce8a916916b8800a3e5dc1026792f2e4b270db2cd","size":8192}]},"sequence":7},"revision":{"commit":"0000000000000000000000000000000000000007","evidence":[],"ref":"main","sequence":7,"signers":["ada@example"],"subject":"change 7","tagged":false,"time":1790000000},"uki":{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":12}}');
CREATE TABLE reports (
	box VARCHAR(63) NOT NULL, 
	received BIGINT NOT NULL, 
	since BIGINT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (box)
);
INSERT INTO "reports" VALUES('demo-1',1790000000,1790000000,'{"agent":"1","boot_id":"boot-of-demo-1","box":"demo-1","checks":[],"content":"a41db983bf17b0b39beb4e32bf553462f26b9ceeb24a10c6cd0a9354c0c2515f","counter":4,"degraded":[],"entry":"","error":"","failures":[],"fetched":{"layers":1},"health":"Healthy","phase":"idle","release":"3d01a7c90e1b45bc53b9059980387508039a713d17ff8333159066a787fc3f28","rollback":0,"sequence":7,"staged":0,"time":1790000000}');
INSERT INTO "reports" VALUES('demo-2',1790000000,1790000000,'{"agent":"1","boot_id":"boot-of-demo-2","box":"demo-2","checks":[],"content":"a41db983bf17b0b39beb4e32bf553462f26b9ceeb24a10c6cd0a9354c0c2515f","counter":2,"degraded":["service hello"],"entry":"","error":"no route to host","failures":[{"log":"a line of the log","reason":"health check hello: status 500","release":"9999999999999999999999999999999999999999999999999999999999999999","sequence":8,"time":1790000000,"verdict":"failed"}],"fetched":{},"health":"Degraded","phase":"fetching","release":"6743d69db06e82fd06a3e0f06a21281298cd574ecc38440a4a0a19651e2a8c73","rollback":0,"sequence":7,"staged":0,"time":1790000000}');
CREATE TABLE values_ (
	name VARCHAR(200) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "values_" VALUES('revisions','{"rows":[["ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","main@sha1:0000000000000000000000000000000000000006"],["3d01a7c90e1b45bc53b9059980387508039a713d17ff8333159066a787fc3f28","main@sha1:0000000000000000000000000000000000000007"],["6743d69db06e82fd06a3e0f06a21281298cd574ecc38440a4a0a19651e2a8c73","main@sha1:0000000000000000000000000000000000000007"]]}');
INSERT INTO "values_" VALUES('planned','{"boxes":["demo-1","demo-2","demo-3"],"commit":"0000000000000000000000000000000000000008","packages":{"pkg/hello":"1111111111111111111111111111111111111111111111111111111111111111"}}');
INSERT INTO "values_" VALUES('controller','{"alarms":[],"error":"","polled":1790000000,"revision":"main@sha1:0000000000000000000000000000000000000007","signers":[]}');
INSERT INTO "values_" VALUES('held','{"demo-2":"held: ada: disk (since 2026-09-21 14:13 UTC)"}');
INSERT INTO "values_" VALUES('suspended','{"demo-2":{"since":1790000000,"who":"ada","why":"disk"}}');
INSERT INTO "values_" VALUES('forge','{"pulls":{"3":{"built":false,"head":"9999999999999999999999999999999999999999","text":"8888888888888888888888888888888888888888888888888888888888888888","turn":1,"updated":"x"}}}');
INSERT INTO "values_" VALUES('app-images','{"registry.example/app@sha256:7777777777777777777777777777777777777777777777777777777777777777":["7777777777777777777777777777777777777777777777777777777777777777","6666666666666666666666666666666666666666666666666666666666666666"]}');
INSERT INTO "values_" VALUES('app-image/7777777777777777777777777777777777777777777777777777777777777777','{"blobs":[["7777777777777777777777777777777777777777777777777777777777777777",400],["6666666666666666666666666666666666666666666666666666666666666666",900]]}');
INSERT INTO "values_" VALUES('signed:5555555555555555555555555555555555555555555555555555555555555555:4444444444444444','{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}');
INSERT INTO "values_" VALUES('assemble/3333333333333333333333333333333333333333333333333333333333333333','{"kernel":["eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",9000000]}');
CREATE INDEX ix_events_box ON events (box);
COMMIT;
