BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE dead_letters (
	request_id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	function_name TEXT NOT NULL, 
	died_at DOUBLE NOT NULL, 
	queue_type TEXT NOT NULL, 
	queue_name TEXT NOT NULL, 
	dropped BOOLEAN NOT NULL, 
	status_code INTEGER NOT NULL, 
	error_message TEXT NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (request_id)
);
INSERT INTO "dead_letters" VALUES('01a21578-2081-7c7b-ae65-2a837be78655','default','letters',1.79565652431705474853e+09,'CMQ-QUEUE','dead',0,430,'{"error":"broken"}','{"RequestId": "01a21578-2081-7c7b-ae65-2a837be78655", "ErrorCode": -1, "ErrorMessage": "{\"error\":\"broken\"}", "Body": {"AppId": 1250000000, "Uin": "100000000001", "SubAccountUin": "100000000001", "RequestSource": "API", "FunctionName": "letters", "Namespace": "default", "Qualifier": "$LATEST", "InvocationType": "Event", "ClientContext": "{\"from\":\"letters\"}", "LogType": "", "TimeStampForInvoker": "1795656523905", "RequestId": "01a21578-2081-7c7b-ae65-2a837be78655", "PushTime": "2026-11-26T09:28:43.905946+08:00", "RetryNum": 0, "Ttl": 3600}}');
INSERT INTO "dead_letters" VALUES('01a21578-20b3-78d7-a712-d1308b775722','default','dropping',1.79565652435083198549e+09,'','',1,430,'{"error":"broken"}','{"RequestId": "01a21578-20b3-78d7-a712-d1308b775722", "ErrorCode": -1, "ErrorMessage": "{\"error\":\"broken\"}", "Body": {"AppId": 1250000000, "Uin": "100000000001", "SubAccountUin": "100000000001", "RequestSource": "API", "FunctionName": "dropping", "Namespace": "default", "Qualifier": "$LATEST", "InvocationType": "Event", "ClientContext": "", "LogType": "", "TimeStampForInvoker": "1795656523955", "RequestId": "01a21578-20b3-78d7-a712-d1308b775722", "PushTime": "2026-11-26T09:28:43.955469+08:00", "RetryNum": 0, "Ttl": 3600}}');
CREATE TABLE event_states (
	request_id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	function_name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	invoke_type TEXT NOT NULL, 
	status TEXT NOT NULL, 
	status_code INTEGER NOT NULL, 
	started_at DOUBLE NOT NULL, 
	ended_at DOUBLE NOT NULL, 
	PRIMARY KEY (request_id)
);
INSERT INTO "event_states" VALUES('01a21578-202d-74fe-a2a5-090dfae87dbb','stage','traced','$LATEST','API','FINISHED',200,1.79565652382178616523e+09,1.7956565241793210506e+09);
CREATE TABLE events (
	seq BIGINT NOT NULL, 
	request_id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	function_name TEXT NOT NULL, 
	function_id TEXT NOT NULL, 
	qualifier TEXT NOT NULL, 
	version TEXT NOT NULL, 
	invocation_type TEXT NOT NULL, 
	source TEXT NOT NULL, 
	routing_key TEXT NOT NULL, 
	accepted_at DOUBLE NOT NULL, 
	traced BOOLEAN NOT NULL, 
	retry_num INTEGER NOT NULL, 
	delays INTEGER NOT NULL, 
	due_at DOUBLE NOT NULL, 
	error BLOB NOT NULL, 
	size INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "events" VALUES(5,'01a21578-2110-7b70-a428-7c620da4fc1c','default','waiting','lam-t6k77z69','$LATEST','$LATEST','Event','API','',1.79565652404897975924e+09,0,1,0,1.79565658437008905407e+09,X'7B226572726F72436F6465223A2D312C226572726F724D657373616765223A227B5C226572726F725C223A5C2262726F6B656E5C227D222C22726571756573744964223A2230316132313537382D323131302D376237302D613432382D376336323064613466633163222C22737461747573436F6465223A3433307D',18,X'7B2266726F6D223A2277616974696E67227D');
INSERT INTO "events" VALUES(6,'01a21578-2130-7336-a75f-675cb6e12de6','default','stuck','lam-xn4gb3lf','$LATEST','$LATEST','Event','API','',1.79565652408066773419e+09,0,0,0,0.0,X'',16,X'7B2266726F6D223A22737475636B227D');
INSERT INTO "events" VALUES(7,'01a21578-2191-752b-a4c3-5584773821f5','default','stuck','lam-xn4gb3lf','$LATEST','$LATEST','Event','API','',1.79565652417848968503e+09,0,0,0,0.0,X'',15,X'7B227365636F6E64223A747275657D');
CREATE TABLE functions (
	namespace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	function_id TEXT NOT NULL, 
	modified_at DOUBLE NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (namespace, name)
);
INSERT INTO "functions" VALUES('default','echo','lam-hncpey50',1.79565652215396714215e+09,'{"namespace":"default","name":"echo","function_id":"lam-hncpey50","tags":{"team":"a"},"epoch":0,"created_at":1795656522.1539671,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"says it again","memory_mb":256,"timeout_s":7,"init_timeout_s":65,"environment":{"GREETING":"hello"},"layers":[{"name":"words","version":2,"digest":"30574b1645a1fe4b072b2957ecb9c7afe3ee611a30bd87d9c6ef4393307a69ea","unpacked_bytes":4}],"role":"","type":"Event","async_run":false,"kept":{"VpcConfig":{"VpcId":"vpc-1","SubnetId":"subnet-1"},"ClsTopicId":"topic-1","TraceEnable":"FALSE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656522.1539671,"modified_at":1795656522.1539671},"1":{"version":"1","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"version 1","memory_mb":256,"timeout_s":7,"init_timeout_s":65,"environment":{"GREETING":"hello"},"layers":[{"name":"words","version":2,"digest":"30574b1645a1fe4b072b2957ecb9c7afe3ee611a30bd87d9c6ef4393307a69ea","unpacked_bytes":4}],"role":"","type":"Event","async_run":false,"kept":{"VpcConfig":{"VpcId":"vpc-1","SubnetId":"subnet-1"},"ClsTopicId":"topic-1","TraceEnable":"FALSE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656522.5150309,"modified_at":1795656522.5150309},"2":{"version":"2","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"version 2","memory_mb":256,"timeout_s":7,"init_timeout_s":65,"environment":{"GREETING":"hello"},"layers":[{"name":"words","version":2,"digest":"30574b1645a1fe4b072b2957ecb9c7afe3ee611a30bd87d9c6ef4393307a69ea","unpacked_bytes":4}],"role":"","type":"Event","async_run":false,"kept":{"VpcConfig":{"VpcId":"vpc-1","SubnetId":"subnet-1"},"ClsTopicId":"topic-1","TraceEnable":"FALSE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656522.7120657,"modified_at":1795656522.7120657}},"published":2,"aliases":{"live":{"name":"live","version":"1","description":"","weights":[{"version":"2","weight":0.25}],"matches":[],"created_at":1795656522.89198,"modified_at":1795656522.89198},"canary":{"name":"canary","version":"2","description":"","weights":[],"matches":[{"version":"1","key":"invoke.headers.user","method":"exact","expression":"me"}],"created_at":1795656522.9143798,"modified_at":1795656522.9143798}},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":1024,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('stage','traced','lam-x9lcpw6z',1.79565652295067310333e+09,'{"namespace":"stage","name":"traced","function_id":"lam-x9lcpw6z","tags":{},"epoch":0,"created_at":1795656522.950673,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":true,"kept":{"DeadLetterConfig":{"Type":"CMQ-QUEUE","Name":"dead","FilterType":"NEEDED"},"TraceEnable":"TRUE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656522.950673,"modified_at":1795656522.950673}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','untraced','lam-28gpy3hy',1.79565652301324176791e+09,'{"namespace":"default","name":"untraced","function_id":"lam-28gpy3hy","tags":{},"epoch":0,"created_at":1795656523.0132418,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":true,"kept":{"DeadLetterConfig":{"Type":"","Name":""}}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.0132418,"modified_at":1795656523.0132418}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','letters','lam-yca27f6l',1.79565652305078506468e+09,'{"namespace":"default","name":"letters","function_id":"lam-yca27f6l","tags":{},"epoch":0,"created_at":1795656523.050785,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{"DeadLetterConfig":{"Type":"CMQ-QUEUE","Name":"dead","FilterType":"NEEDED"}}},"code":{"digest":"d8e5dbe533cb3a6f37e04b0580621f09d560f2830f929eb9d94531ef62e4be00","zip_bytes":359,"unpacked_bytes":243,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.050785,"modified_at":1795656523.050785}},"published":0,"aliases":{},"event_invoke":{"retry_num":0,"msg_ttl_s":3600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','dropping','lam-5x4egn0v',1.79565652311832690238e+09,'{"namespace":"default","name":"dropping","function_id":"lam-5x4egn0v","tags":{},"epoch":0,"created_at":1795656523.118327,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{}},"code":{"digest":"d8e5dbe533cb3a6f37e04b0580621f09d560f2830f929eb9d94531ef62e4be00","zip_bytes":359,"unpacked_bytes":243,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.118327,"modified_at":1795656523.118327}},"published":0,"aliases":{},"event_invoke":{"retry_num":0,"msg_ttl_s":3600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','waiting','lam-t6k77z69',1.79565652318580532076e+09,'{"namespace":"default","name":"waiting","function_id":"lam-t6k77z69","tags":{},"epoch":0,"created_at":1795656523.1858053,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{}},"code":{"digest":"d8e5dbe533cb3a6f37e04b0580621f09d560f2830f929eb9d94531ef62e4be00","zip_bytes":359,"unpacked_bytes":243,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.1858053,"modified_at":1795656523.1858053}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','stuck','lam-xn4gb3lf',1.79565652324330806734e+09,'{"namespace":"default","name":"stuck","function_id":"lam-xn4gb3lf","tags":{},"epoch":0,"created_at":1795656523.243308,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":900,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{"DeadLetterConfig":{"Type":"CMQ-QUEUE","Name":"dead","FilterType":"NEEDED"}}},"code":{"digest":"3a87db38b3a74cc6573fcc1e528016ed4ebe316613913cad8dbcfd22289b55d8","zip_bytes":303,"unpacked_bytes":187,"bootstrap":"ok"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.243308,"modified_at":1795656523.243308}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','not-executable','lam-vsu8z2pa',1.79565652329261922839e+09,'{"namespace":"default","name":"not-executable","function_id":"lam-vsu8z2pa","tags":{},"epoch":0,"created_at":1795656523.2926192,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{}},"code":{"digest":"d520a081c400410b24b88fb82a3f3fdb84c231d8b617f4d46ae7a4b283373485","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"not_executable"},"candidate":null,"serving":true,"status":"Active","status_reasons":[],"created_at":1795656523.2926192,"modified_at":1795656523.2926192}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
INSERT INTO "functions" VALUES('default','updating','lam-l6aa8c11',1.79565652439180111887e+09,'{"namespace":"default","name":"updating","function_id":"lam-l6aa8c11","tags":{},"epoch":0,"created_at":1795656523.358274,"versions":{"$LATEST":{"version":"$LATEST","config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":128,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{"DeadLetterConfig":{"Type":"CMQ-QUEUE","Name":"dead","FilterType":"NEEDED"},"TraceEnable":"TRUE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"candidate":{"config":{"runtime":"CustomRuntime","handler":"index.main_handler","description":"","memory_mb":512,"timeout_s":3,"init_timeout_s":65,"environment":{},"layers":[],"role":"","type":"Event","async_run":false,"kept":{"DeadLetterConfig":{"Type":"CMQ-TOPIC","Name":"other","FilterType":""},"TraceEnable":"TRUE"}},"code":{"digest":"4530ae401e4c99713215df665719982688dfffacf0ac7cefdecd9e45a07eda63","zip_bytes":387,"unpacked_bytes":271,"bootstrap":"ok"},"publish":false},"serving":true,"status":"Updating","status_reasons":[],"created_at":1795656523.358274,"modified_at":1795656524.391801}},"published":0,"aliases":{},"event_invoke":{"retry_num":2,"msg_ttl_s":21600},"reserved_mb":null,"provisioned":{},"provision_timers":{},"kept":{}}');
CREATE TABLE invocations (
	request_id TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	function_name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	qualifier TEXT NOT NULL, 
	invocation_type TEXT NOT NULL, 
	started_at DOUBLE NOT NULL, 
	ended_at DOUBLE NOT NULL, 
	status_code INTEGER NOT NULL, 
	ret_msg TEXT NOT NULL, 
	duration_ms DOUBLE NOT NULL, 
	bill_ms BIGINT NOT NULL, 
	memory_mb INTEGER NOT NULL, 
	mem_usage BIGINT NOT NULL, 
	cold_start BOOLEAN NOT NULL, 
	init_ms DOUBLE NOT NULL, 
	retry_num INTEGER NOT NULL, 
	instance_id TEXT NOT NULL, 
	timeline TEXT NOT NULL, 
	PRIMARY KEY (request_id)
);
INSERT INTO "invocations" VALUES('01a21578-1ecd-7982-a4a2-fd53d62c2b1b','default','echo','$LATEST','$LATEST','RequestResponse',1.79565652346957969672e+09,1.79565652365942621227e+09,200,'{"n":1}',61.918,62,256,11649024,1,29.539,0,'068e14249e59bbcb49ffe46b110d9a49','{"received":1795656523.4695797,"prepared":1795656523.4698842,"started":1795656523.5678236,"released":1795656523.5679088,"ready":1795656523.5974662,"dispatched":1795656523.5974884,"fetched":1795656523.6234486,"finished":1795656523.6594262}');
INSERT INTO "invocations" VALUES('01a21578-1f92-710b-a717-6f8215403edb','default','echo','1','live','RequestResponse',1.79565652366626620295e+09,1.79565652381371736526e+09,200,'{"n":2}',49.643,50,256,6451200,1,29.06,0,'c258cba3f1de7a487e323115758711b8','{"received":1795656523.6662662,"prepared":1795656523.6666765,"started":1795656523.7349055,"released":1795656523.7349627,"ready":1795656523.7640402,"dispatched":1795656523.7640631,"fetched":1795656523.786211,"finished":1795656523.8137174}');
INSERT INTO "invocations" VALUES('01a21578-2028-7e61-ac57-ce035a48f65b','default','not-executable','$LATEST','$LATEST','RequestResponse',1.79565652381655287746e+09,1.79565652381655287746e+09,443,'{"errorCode":1,"errorMessage":"ReloadFail: Bootstrap not executable\n","requestId":"01a21578-2028-7e61-ac57-ce035a48f65b","statusCode":443}',0.0,0,128,0,0,0.0,0,'','{"received":1795656523.8165529}');
INSERT INTO "invocations" VALUES('01a21578-202d-74fe-a2a5-090dfae87dbb','stage','traced','$LATEST','$LATEST','RequestResponse',1.795656523837952137e+09,1.79565652417886185651e+09,200,'{"n":3}',126.703,127,128,11755520,1,53.487,0,'a0c25c3370c04ebb147a0c41023f6c7f','{"received":1795656523.8379521,"prepared":1795656523.838298,"started":1795656523.997987,"released":1795656523.9985914,"ready":1795656524.0521061,"dispatched":1795656524.0521398,"fetched":1795656524.1103876,"finished":1795656524.1788619}');
INSERT INTO "invocations" VALUES('01a21578-204c-7034-a008-4baded0a2b6d','default','untraced','$LATEST','$LATEST','RequestResponse',1.79565652389001512525e+09,1.79565652423623847962e+09,200,'{"n":4}',96.397,97,128,11632640,1,86.988,0,'a4160cfa5fbf57ebe5c543c89a2016fa','{"received":1795656523.8900151,"prepared":1795656523.8905091,"started":1795656524.0526547,"released":1795656524.0528111,"ready":1795656524.1398144,"dispatched":1795656524.1398368,"fetched":1795656524.179124,"finished":1795656524.2362385}');
INSERT INTO "invocations" VALUES('01a21578-2081-7c7b-ae65-2a837be78655','default','letters','$LATEST','$LATEST','Event',1.79565652394615721696e+09,1.79565652394615721696e+09,202,'',0.0,0,128,0,0,0.0,0,'69bc79ca9c36f1cf75ea12c3059d78f0','{"received":1795656523.9461572}');
INSERT INTO "invocations" VALUES('01a21578-20b3-78d7-a712-d1308b775722','default','dropping','$LATEST','$LATEST','Event',1.79565652400965285306e+09,1.79565652400965285306e+09,202,'',0.0,0,128,0,0,0.0,0,'b3d4ea34cff79b3b9913ee3a9220d583','{"received":1795656524.0096529}');
INSERT INTO "invocations" VALUES('01a21578-2110-7b70-a428-7c620da4fc1c','default','waiting','$LATEST','$LATEST','Event',1.79565652407794690129e+09,1.79565652407794690129e+09,202,'',0.0,0,128,0,0,0.0,0,'6a66502b2a6e80c2acbf74605ead538a','{"received":1795656524.077947}');
CREATE TABLE layers (
	name TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "layers" VALUES('words','{"name":"words","published":2,"tags":{},"versions":{"1":{"version":1,"digest":"080b89532696c486e4e1dd4b67a270ef65a2367fb6d05bd9d49a085aa173703c","zip_bytes":128,"unpacked_bytes":4,"runtimes":["CustomRuntime"],"description":"words 1","license":"","created_at":1795656521.826639},"2":{"version":2,"digest":"30574b1645a1fe4b072b2957ecb9c7afe3ee611a30bd87d9c6ef4393307a69ea","zip_bytes":128,"unpacked_bytes":4,"runtimes":["CustomRuntime"],"description":"words 2","license":"","created_at":1795656522.0578449}}}');
CREATE TABLE log_chunks (
	request_id TEXT NOT NULL, 
	instance_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	first_ts DOUBLE NOT NULL, 
	lines TEXT NOT NULL, 
	PRIMARY KEY (request_id, instance_id, seq)
);
INSERT INTO "log_chunks" VALUES('01a21578-1ecd-7982-a4a2-fd53d62c2b1b','068e14249e59bbcb49ffe46b110d9a49',0,1.79565652363106513025e+09,'[[1795656523.6310651,"working on {\"n\":1}"]]');
INSERT INTO "log_chunks" VALUES('01a21578-1f92-710b-a717-6f8215403edb','c258cba3f1de7a487e323115758711b8',0,1795656523.7876,'[[1795656523.7876,"working on {\"n\":2}"]]');
INSERT INTO "log_chunks" VALUES('01a21578-202d-74fe-a2a5-090dfae87dbb','a0c25c3370c04ebb147a0c41023f6c7f',0,1795656524.12066,'[[1795656524.12066,"working on {\"n\":3}"]]');
INSERT INTO "log_chunks" VALUES('01a21578-204c-7034-a008-4baded0a2b6d','a4160cfa5fbf57ebe5c543c89a2016fa',0,1.79565652421436214442e+09,'[[1795656524.2143621,"working on {\"n\":4}"]]');
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE namespaces (
	name TEXT NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "namespaces" VALUES('default','{"name":"default","description":"","total_mb":128000,"created_at":1795656518.547885,"modified_at":1795656518.547885}');
INSERT INTO "namespaces" VALUES('stage','{"name":"stage","description":"for later","total_mb":128000,"created_at":1795656521.5879424,"modified_at":1795656521.5879424}');
CREATE INDEX ix_invocations_started ON invocations (started_at, request_id, namespace);
CREATE INDEX ix_invocations_function ON invocations (namespace, function_name, started_at, request_id, status_code);
CREATE INDEX ix_log_chunks_first_ts ON log_chunks (first_ts);
CREATE INDEX ix_event_states_ended ON event_states (ended_at);
CREATE INDEX ix_event_states_function ON event_states (namespace, function_name, started_at);
CREATE INDEX ix_dead_letters_died ON dead_letters (died_at);
COMMIT;
