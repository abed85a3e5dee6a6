// Rendered from the contract by `make specs`.

/** Say no more: what is shown stays as a partial message; where nothing is, nothing stays. */
export interface AbandonStream {
  stream_id: string;
  reason?: string;
}

/** Join the org that an invitation for the caller's e-mail address names; SwitchOrg leads there. */
export interface AcceptInvitation {
  /** An opaque token. */
  token: string;
}

/** A short-lived access token (EdDSA JWT). */
export interface AccessToken {
  access_token: string;
  expires_in_s: number;
}

/** A person's account as administrators see it. */
export interface Account {
  id: string;
  email: string;
  name: string;
  created_at: string;
  suspended_at: string | null;
  administrator: boolean;
}

/** No account has this id. */
export interface AccountNotFound {
  type: "/problems/identity/account-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  account_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface AccountPage {
  items: Account[];
  next_cursor: string | null;
}

/** Make an environment use a version. */
export interface Activate {
  resource_id: string;
  /** `production`, `staging`, ... */
  environment: string;
  /** Counts a resource's versions from 1. */
  number: number;
}

/** Which version an environment uses. */
export interface Activation {
  resource_id: string;
  /** `production`, `staging`, ... */
  environment: string;
  /** Counts a resource's versions from 1. */
  number: number;
  activated_by: string;
  activated_at: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ActivationPage {
  items: Activation[];
  next_cursor: string | null;
}

/** Add changes to an open set of one's own. */
export interface AddChanges {
  set_id: string;
  changes: Change[];
}

/** Add somebody of the org to a conversation, or invite them to come in by themselves: for its owners and admins. Who takes part in a channel may add members to it. */
export interface AddParticipant {
  conversation_id: string;
  principal_id: string;
  /** Observers read and say nothing. */
  role?: "admin" | "member" | "observer" | "owner";
  invite?: boolean;
}

/** Make a public key known as one's own. `proof` signs, with the key that belongs to it, the UTF-8 of `polis publisher key `, the caller's principal id. */
export interface AddPublisherKey {
  name: string;
  /** An Ed25519 public key, 32 bytes in base64url without padding. */
  public_key: string;
  /** An Ed25519 signature, 64 bytes in base64url without padding. */
  proof: string;
}

/** Who may answer: a principal by `id`, all with a `role`, or whoever holds a grant of `runtime:answer` on a `resource`. */
export interface Addressee {
  kind: "grant" | "principal" | "role";
  id?: string | null;
  role?: string | null;
  resource?: string | null;
}

/** Whom the ask would be handed to cannot answer it. */
export interface AddresseeRefused {
  type: "/problems/runtime/addressee-refused";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  to: Addressee;
}

/** The one-time link is not valid, or not any more. */
export interface AdministratorLinkUsed {
  type: "/problems/identity/administrator-link-used";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** An agent or application of an org. `scopes`: all that its tokens may do; `suspended_at`: since when it may do nothing. */
export interface Agent {
  id: string;
  org_id: string;
  /** Short name of an agent, unique in its org. */
  key: string;
  /** A name for people to read. */
  name: string;
  created_by: string;
  created_at: string;
  /** Number of an agent, unique in its org. */
  number: number;
  /** Application: a program of the org. */
  kind: "agent" | "application";
  unit_id: string | null;
  scopes: string[];
  suspended_at: string | null;
}

/** An agent with a new secret, which is shown this once. */
export interface AgentCredential {
  agent: Agent;
  client_id: string;
  client_secret: string;
}

/** An agent of this org has this key. */
export interface AgentKeyTaken {
  type: "/problems/identity/agent-key-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  key: string;
}

/** No agent of this org has this id, key or number. */
export interface AgentNotFound {
  type: "/problems/identity/agent-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  agent: string;
}

/** An agent of this org has this number. */
export interface AgentNumberTaken {
  type: "/problems/identity/agent-number-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  number: number;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface AgentPage {
  items: Agent[];
  next_cursor: string | null;
}

/** Agents have talked for so long with each other, in `turns` or `characters`, that a person has to say something first. */
export interface AgentTalkBound {
  type: "/problems/messaging/agent-talk-bound";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  what: "characters" | "turns";
  most: number;
}

/** No agent of the org has this id or key. */
export interface AgentUnknown {
  type: "/problems/runtime/agent-unknown";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  agent: string;
}

/** The caller has voted otherwise. */
export interface AlreadyVoted {
  type: "/problems/runtime/already-voted";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  decision: string;
}

/** For what an approval stands from now on: this graph, or the agent that the run acts as; without a subject, for this one. */
export interface Always {
  of?: "agent" | "graph";
  subject?: string | null;
}

/** Tell something to all who follow the live topic `org` at this moment and may read messages, except for some principals. It is kept nowhere, and who is not there is not told: what is to be read later is posted as a message. It counts like one. That somebody announced something stands in the audit log. */
export interface Announce {
  /** What is announced, for people to read. */
  text: string;
  /** What programs read of it, in 4096 bytes of JSON at the most. */
  data?: { [name: string]: unknown };
  /** Principals that are not told, such as the caller. */
  except_for?: string[];
}

/** What somebody announced. */
export interface Announcement {
  id: string;
  /** What is announced, for people to read. */
  text: string;
  announced_by: string;
  announced_at: string;
  /** What programs read of it, in 4096 bytes of JSON at the most. */
  data: { [name: string]: unknown };
}

/** Answer an ask: its run goes on with that, or, for a vote, when enough have voted. The same answer of the same caller may be given again; another one comes too late. */
export interface AnswerAsk {
  ask_id: string;
  /** `approve`, `always` or `deny` of an approval, `submit` of an input, the key of a choice, `done` or `decline` of a handoff. */
  decision?: string;
  /** Any JSON value. */
  value?: unknown;
  /** Why, in words. */
  note?: string;
  always?: Always | null;
}

/** Answer an ask by a link, which it uses up. */
export interface AnswerAskLink {
  /** An opaque token. */
  token: string;
  /** `approve`, `always` or `deny` of an approval, `submit` of an input, the key of a choice, `done` or `decline` of a handoff. */
  decision?: string;
  /** Any JSON value. */
  value?: unknown;
  /** Why, in words. */
  note?: string;
}

/** The answer does not fit what is asked; every fault is listed. */
export interface AnswerInvalid {
  type: "/problems/runtime/answer-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** Who answers a message: of those who claimed it the most confident; of equals who is responsible, then the lowest id. due_at: when an open one is decided, or a held one goes to the next. answer_seq: the answer, once it stands there. */
export interface AnswerTurn {
  conversation_id: string;
  message_seq: number;
  /** Open: claims are taken. Held: one is to answer. Lapsed: nobody would, or did. */
  state: "answered" | "held" | "lapsed" | "open";
  opened_at: string;
  claims: TurnClaim[];
  due_at: string | null;
  holder_id: string | null;
  answer_seq: number | null;
}

/** A key of a principal in an org. `hint`: the beginning, to know it again. `last_used_at` is true to a minute. */
export interface ApiKey {
  id: string;
  org_id: string;
  /** A name for people to read. */
  name: string;
  hint: string;
  principal_id: string;
  scopes: string[];
  created_at: string;
  unit_id: string | null;
  expires_at: string | null;
  last_used_at: string | null;
  rotated_at: string | null;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ApiKeyPage {
  items: ApiKey[];
  next_cursor: string | null;
}

/** Make all changes of a set, or none. `plan` is the digest of the plan that was looked at. */
export interface ApplyChangeSet {
  set_id: string;
  plan?: string | null;
}

/** Make an active account another administrator of the mesh. For those who are. */
export interface AppointAdministrator {
  account_id: string;
  /** Why; kept in the audit log, where the org reads it. */
  reason: string;
}

/** The caller has no standing approval of this id. */
export interface ApprovalNotFound {
  type: "/problems/runtime/approval-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  approval_id: string;
}

/** Make a grant count that waits for approval: in person, by who could have given it but did not, and does not hold it. */
export interface ApproveGrant {
  grant_id: string;
}

/** A stored file. `media_type` is what whoever stored it says, `found_type` what its first bytes are known to be. */
export interface Artifact {
  id: string;
  org_id: string;
  /** Name of a file without a path. */
  name: string;
  /** RFC 6838, without parameters. */
  media_type: string;
  size: number;
  /** SHA-256 in hexadecimal. */
  sha256: string;
  created_by: string;
  created_at: string;
  visibility: "org" | "private" | "public";
  found_type: string | null;
}

/** No artifact that the caller may see has this id. */
export interface ArtifactNotFound {
  type: "/problems/catalog/artifact-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  artifact_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ArtifactPage {
  items: Artifact[];
  next_cursor: string | null;
}

/** What a run needs of somebody, as a line of an inbox. `subject`: what an approval is about, for standing ones. */
export interface Ask {
  id: string;
  org_id: string;
  run_id: string;
  /** Name of a resource, unique per org and type. */
  graph: string;
  node: string;
  item: string;
  /** What is needed: a yes, values of a form, one of some choices, votes, or somebody who takes over. */
  kind: "approval" | "choice" | "handoff" | "input" | "vote";
  /** Expired: nobody answered in time. Withdrawn: its run has ended. */
  state: "answered" | "expired" | "open" | "withdrawn";
  title: string;
  verb: string;
  subject: string;
  to: Addressee[];
  no_self: boolean;
  opened_at: string;
  due_at: string | null;
  ended_at: string | null;
}

/** What was answered, by whom and when. `value`: the values of a form, or the arguments as they were edited. */
export interface AskAnswer {
  /** `approve`, `always` or `deny` of an approval, `submit` of an input, the key of a choice, `done` or `decline` of a handoff. */
  decision: string;
  at: string;
  /** How: in a session or with a key, by a link, by a message in a conversation, by a standing approval, by nobody in time, by votes. */
  via: "api" | "default" | "link" | "message" | "standing" | "votes";
  by: string | null;
  /** Any JSON value. */
  value: unknown;
  /** Why, in words. */
  note: string;
}

/** The ask has an answer, or needs none any more. */
export interface AskEnded {
  type: "/problems/runtime/ask-ended";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  /** Expired: nobody answered in time. Withdrawn: its run has ended. */
  state: "answered" | "expired" | "open" | "withdrawn";
}

/** A link by which one person answers one ask once, without a session. Its token is shown this once. */
export interface AskLink {
  ask_id: string;
  principal_id: string;
  path: string;
  expires_at: string;
}

/** The link is not valid, has expired, or was used. */
export interface AskLinkRefused {
  type: "/problems/runtime/ask-link-refused";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The caller is asked nothing under this id. */
export interface AskNotFound {
  type: "/problems/runtime/ask-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  ask_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface AskPage {
  items: Ask[];
  next_cursor: string | null;
}

/** An ask with all that is needed to answer it, and its answer once it has one. value: the arguments that an approval is about, or what else it is about. form: the JSON Schema that values, or edited arguments, have to fit. votes: how many there are for each choice so far; quorum: how many decide. */
export interface AskSheet {
  ask: Ask;
  text: string;
  /** Any JSON value. */
  value: unknown;
  decisions: string[];
  choices: Choice[];
  form: { [name: string]: unknown } | null;
  editable: boolean;
  default: string | null;
  quorum: number;
  votes: { [name: string]: number };
  mine: string | null;
  answer: AskAnswer | null;
}

/** Mail the link that SignUp goes on with to this address, or that there is an account. The answer tells nothing of that. `invitation`: needed where accounts are made by invitation alone. */
export interface AskToSignUp {
  /** An e-mail address. */
  email: string;
  invitation?: string | null;
}

/** The resource is no assistant, or not with these settings; every fault is listed. */
export interface AssistantInvalid {
  type: "/problems/runtime/assistant-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** No assistant that the caller may see has this key and an active version. */
export interface AssistantNotFound {
  type: "/problems/runtime/assistant-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  assistant: string;
}

/** A file cannot be sent: it is not there, too large, or of a type that is not taken. */
export interface AttachmentRefused {
  type: "/problems/messaging/attachment-refused";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  artifact_id: string;
  reason: string;
}

/** One attempt of a step at one item. Times are milliseconds since the run was created. waited_ms: from when it could begin (or was to be repeated) until it was at work. error: the kind of what it failed with; `step.lost`: its process died, or gave the run up, and `ended_ms` is when that was found. cost: in millionths of the org's currency, where the step told any. inputs, outputs: as the graph's `record` says. */
export interface AttemptFacts {
  item: string;
  number: number;
  /** Milliseconds. */
  started_ms: number;
  ended_ms?: number | null;
  /** Milliseconds. */
  waited_ms?: number;
  error?: string | null;
  cost?: number | null;
  emitted?: number;
  inputs?: { [name: string]: unknown } | null;
  outputs?: PortValue[] | null;
}

/** The last attempts of a step, in the order in which they began. `total`: how many there were. */
export interface AttemptsOfStep {
  /** Name of a node, behind those of the nodes that run the graph that it is in; `/@undo`: what undoes it. */
  node: string;
  total: number;
  attempts: AttemptFacts[];
}

/** A record by its number and its hash, as somebody may have noted it down elsewhere. */
export interface AuditLink {
  /** Number of a record in its org's log, from 1. */
  n: number;
  /** SHA-256 in hex. */
  hash: string;
}

/** Something that was done. `hash` is of this record and of the hash of the one before it. */
export interface AuditRecord {
  /** Number of a record in its org's log, from 1. */
  n: number;
  at: string;
  /** `<noun>.<past>`: what was done. */
  action: string;
  actor_id: string | null;
  subject: string;
  detail: { [name: string]: string };
  /** SHA-256 in hex. */
  hash: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface AuditRecordPage {
  items: AuditRecord[];
  next_cursor: string | null;
}

/** What a verification found. Without `broken` everything from `start` to `end` is as it was written. `start`: the last record before those that were verified (0, or where old ones were removed); `next_after`: where to go on when there is more than one answer verifies. */
export interface AuditState {
  start: AuditLink;
  end: AuditLink;
  broken: BrokenLink | null;
  next_after: number | null;
}

/** Remove somebody and let nobody bring them back until they are removed from the banned. */
export interface BanParticipant {
  conversation_id: string;
  principal_id: string;
}

/** Who is banned takes part no more until the ban is lifted. */
export interface BannedFromConversation {
  type: "/problems/messaging/banned-from-conversation";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  principal_id: string;
}

/** What became of each run, in the order in which they were asked for. */
export interface Batch {
  outcomes: BatchOutcome[];
}

/** What became of one of many runs: the run, as it is by now, or why there is none. */
export interface BatchOutcome {
  run_id: string | null;
  state: "cancelled" | "failed" | "paused" | "queued" | "recovering" | "running" | "succeeded" | "waiting" | null;
  faults: Fault[];
}

/** Begin to say something in a conversation that the caller takes part in; a repeat with its `client_id` answers what has become of it. run_id: the run that says it, of the caller's own: it is cancelled with the stream. */
export interface BeginStream {
  conversation_id: string;
  /** Chosen by the sender, one for each message: posting it again changes nothing. */
  client_id: string;
  reply_to?: number | null;
  thread?: number | null;
  run_id?: string | null;
}

/** Graphs that are active would not run any more: their ports and the component's come in one change set. */
export interface BreaksGraphs {
  type: "/problems/catalog/breaks-graphs";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  graphs: string[];
}

/** Where an audit log is not what was written. `missing`: the record is gone; `changed`: it, or the one before it, is another; `cut`: the log ends too early. */
export interface BrokenLink {
  /** Number of a record in its org's log, from 1. */
  n: number;
  fault: "changed" | "cut" | "missing";
}

/** A session whose tokens lie in httpOnly cookies. `csrf_token` goes into X-CSRF-Token of every change. */
export interface BrowserSession {
  me: Me;
  csrf_token: string;
  expires_in_s: number;
}

/** Post to a webhook: signed by Standard Webhooks (webhook-id, -timestamp, -signature), or with its token in X-Hook-Token. 202 tells the run that was started; where the trigger waits for its end, 200 tells what it came to. */
export interface CallHook {
  trigger_id: string;
  body: Blob | ArrayBuffer | Uint8Array | string;
}

/** End it here, and the run that says it. */
export interface CancelControl {
  kind: "cancel";
  /** Why, for people to read. */
  reason?: string;
}

/** Ask nobody any more to take a conversation over: for who may hand it over. */
export interface CancelHandoff {
  handoff_id: string;
}

/** End a run now: nothing that it does takes effect any more. One whose graph says how steps are undone (`compensate`) goes on to do that, and ends then; its state tells. */
export interface CancelRun {
  run_id: string;
}

/** Give an open upload up: its parts are removed, and its room is free again. */
export interface CancelUpload {
  upload_id: string;
}

/** What is to become of one resource; fields that are absent stay as they are. put: create it, or change its draft, what is said of it, or whether it is deprecated. activate: make an environment use a content (its draft when absent), or a version by number. sign: add what a publisher of the org signed to the version with this digest; a signature that vouches for nothing here is left out, and the plan says why. deactivate: none. remove: delete it. */
export interface Change {
  action: "activate" | "deactivate" | "put" | "remove" | "sign";
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  content?: { [name: string]: unknown } | null;
  name?: string | null;
  visibility?: "org" | "private" | "public" | null;
  tags?: string[] | null;
  deprecated?: boolean | null;
  deprecation?: string;
  environment?: string | null;
  number?: number | null;
  changelog?: string;
  digest?: string | null;
  public_key?: string | null;
  signature?: string | null;
}

/** Say who sees a file of the org: its creator, owners and admins may. */
export interface ChangeArtifact {
  artifact_id: string;
  visibility: "org" | "private" | "public";
}

/** Rename a conversation, say what it is about, who sees it, how sensitive it is and how long it is kept; archive it or open it again. For its owners and admins. Of two, either may say how sensitive it is and how long it is kept, and nothing else. */
export interface ChangeConversation {
  conversation_id: string;
  name?: string | null;
  topic?: string | null;
  visibility?: "org" | "private" | null;
  data_class?: "confidential" | "internal" | "public" | "restricted" | null;
  retention_days?: number | null;
  archived?: boolean | null;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ChangePage {
  items: Change[];
  next_cursor: string | null;
}

/** Give somebody another role, or let them say nothing for a while; a moment that has passed lets them speak again. For owners and admins; of owners and admins for owners alone. */
export interface ChangeParticipant {
  conversation_id: string;
  principal_id: string;
  role?: "admin" | "member" | "observer" | "owner" | null;
  muted_until?: string | null;
}

/** Change the caller's password. Its other sessions end. */
export interface ChangePassword {
  old_password: string;
  /** At least 10 characters. */
  new_password: string;
}

/** Change what is said of a resource; what is absent stays. Creator, owners and admins may change its visibility. */
export interface ChangeResource {
  resource_id: string;
  name?: string | null;
  visibility?: "org" | "private" | "public" | null;
  tags?: string[] | null;
}

/** Give a member another role. Neither the old nor the new one may do what the caller may not. */
export interface ChangeRole {
  principal_id: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
}

/** Changes under one title. `review`: whether somebody else has to approve before it can be applied. */
export interface ChangeSet {
  id: string;
  org_id: string;
  title: string;
  /** `open` until somebody else reviewed it; `undone` after it was applied. */
  status: "applied" | "approved" | "open" | "rejected" | "undone";
  review: boolean;
  private: boolean;
  size: number;
  created_by: string;
  created_at: string;
  reviewed_by: string | null;
  reviewed_at: string | null;
  review_note: string;
  applied_by: string | null;
  applied_at: string | null;
  undone_by: string | null;
  undone_at: string | null;
}

/** No change set that the caller may see has this id. */
export interface ChangeSetNotFound {
  type: "/problems/catalog/change-set-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  set_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ChangeSetPage {
  items: ChangeSet[];
  next_cursor: string | null;
}

/** The state of the change set forbids it: not reviewed yet, applied already, somebody else's. */
export interface ChangeSetState {
  type: "/problems/catalog/change-set-state";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  reason: string;
}

/** A set holds a limited number of changes and bytes. */
export interface ChangeSetTooLarge {
  type: "/problems/catalog/change-set-too-large";
  /** For people; may change. */
  title: string;
  status: 413;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  max_changes: number;
  max_bytes: number;
}

/** Resources were changed after the set was applied; undo that first. */
export interface ChangedSince {
  type: "/problems/catalog/changed-since";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  resources: string[];
}

/** One of those that there are to choose from. */
export interface Choice {
  /** `approve`, `always` or `deny` of an approval, `submit` of an input, the key of a choice, `done` or `decline` of a handoff. */
  key: string;
  title: string;
}

/** Create the first administrator with the one-time link of the first start. */
export interface ClaimAdministrator {
  /** An opaque token. */
  token: string;
  /** An e-mail address. */
  email: string;
  /** At least 10 characters. */
  password: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
}

/** Take a conversation over, as one of those whom it is handed to: the caller comes in and is responsible for it from now on. */
export interface ClaimHandoff {
  handoff_id: string;
}

/** Claim jobs of components, those that wait the longest first. Agents and applications need a grant of `runtime:work` on `component/<key>` for each. Without any job, the answer waits for one as long as it is told to, or comes at once where too many workers wait. */
export interface ClaimJobs {
  components: string[];
  limit?: number;
  wait_s?: number;
}

/** Claim to answer a message, as an agent: the answer comes when it is decided who does, within the window that the first claim opened. Until the one who may answer has, or its time is over, no other agent says anything in the conversation. */
export interface ClaimTurn {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
  /** Why the caller would answer, or leaves it to others. */
  justification: string;
  /** How well the caller would answer, by its own account. */
  confidence?: number;
}

/** Sign out and drop the cookies. */
export interface CloseBrowserSession {
}

/** Close the caller's own sealed secret before its time. */
export interface CloseSecret {
  secret_id: string;
}

/** The account has a second factor: a code proves who it is, a password alone does not. */
export interface CodeNeeded {
  type: "/problems/identity/code-needed";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Compare a version with another one of its resource, `base`; by default the one before it. */
export interface CompareVersions {
  resource_id: string;
  /** Number or SHA-256 of a version. */
  version: string;
  base?: string | null;
}

/** What turns one version into another. `complete` is false when it was too long: values or changes are left out. */
export interface Comparison {
  resource_id: string;
  /** Counts a resource's versions from 1. */
  base: number;
  /** Counts a resource's versions from 1. */
  version: number;
  changes: Difference[];
  complete: boolean;
}

/** Bring the outcome of a job: the messages that it emits, in their order. It counts once. */
export interface CompleteJob {
  job_id: string;
  /** The fencing token that the job was claimed with. */
  token: number;
  emitted?: Emitted[];
  /** What the job has cost, in millionths of the org's currency: it stands in the run's timeline. */
  cost?: number;
}

/** Check size and SHA-256 of the parts and make them an artifact. */
export interface CompleteUpload {
  upload_id: string;
  sha256?: string | null;
}

/** Under which conditions a grant counts: until then, once a second person has approved it, for data up to this class. `approval` is of the grant, once; it is not asked for at each use. */
export interface Conditions {
  expires_at?: string | null;
  approval?: boolean;
  /** How sensitive data is, the least first. */
  data_class?: "confidential" | "internal" | "public" | "restricted";
}

/** Prove again who one is: the cookies open sensitive operations for some minutes. */
export interface ConfirmBrowserSession {
  password?: string | null;
  code?: string | null;
}

/** Prove again who one is, with the password or, where there is a second factor, with a code. The access token that this gives opens sensitive operations for some minutes. */
export interface ConfirmIdentity {
  password?: string | null;
  code?: string | null;
}

/** Finish setting up a second factor with its first code. The other sessions of the caller end. */
export interface ConfirmTotp {
  /** Six digits of the authenticator, or a recovery code. */
  code: string;
}

/** A new account's address is confirmed here: AskToSignUp has a link mailed to it, whose token is the confirmation. */
export interface ConfirmationNeeded {
  type: "/problems/identity/confirmation-needed";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The confirmation is not for this address, or not any more. */
export interface ConfirmationRefused {
  type: "/problems/identity/confirmation-refused";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The content is not a valid resource of its type; every fault is listed. */
export interface ContentInvalid {
  type: "/problems/catalog/content-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** Say on, from `at`. What was taken before is passed over, what is said behind a gap is not taken; the answer tells where to say on. An empty text tells that who speaks is still there. */
export interface ContinueStream {
  stream_id: string;
  /** Characters of a stream. */
  at: number;
  /** Some of what is said (CommonMark). */
  text?: string;
}

/** The entry of it, none where it changed nothing; and what the streams are by now. */
export interface ControlAnswer {
  conversation_id: string;
  seq: number | null;
  streams: ControlledStream[];
}

/** Pause, resume or end what is being said in a conversation, or give it to somebody else. It is an entry of the conversation. stream_id: the stream that is meant; without one, all that are open. Who may say something there may pause, resume and preempt. The rest is for owners and admins, either of two, and who holds a grant of `messaging:control` on `conversation/<id>`; cancelling for who is being answered, too; routing and handing off for who is responsible. */
export interface ControlConversation {
  conversation_id: string;
  control: PauseControl | ResumeControl | PreemptControl | CancelControl | PriorityControl | RouteControl | HandoffControl;
  stream_id?: string | null;
}

/** What was said to who speaks, and what became of their streams. Its entry tells who said it and when. */
export interface Controlled {
  control: PauseControl | ResumeControl | PreemptControl | CancelControl | PriorityControl | RouteControl | HandoffControl;
  streams: ControlledStream[];
}

/** What became of a stream: its state, how many characters are shown, and the message that it has become. */
export interface ControlledStream {
  stream_id: string;
  /** It goes on; it waits; it is said to its end; it broke off; it was ended by somebody; its run was, too. */
  state: "cancelled" | "complete" | "open" | "partial" | "paused" | "preempted";
  /** Characters of a stream. */
  shown: number;
  message_seq: number | null;
}

/** A conversation. `head_seq`: its last entry; `kept_from`: the first that is still kept; `with_ids`: the two of a direct one. responsible_id: who answers for it, always exactly one: of two the agent, of others who owns it, until it is routed or claimed. */
export interface Conversation {
  id: string;
  org_id: string;
  /** Of two; of those who are asked; of an org, to join; of agents. */
  kind: "agents" | "channel" | "direct" | "group";
  /** A name for people to read. */
  name: string;
  /** A name for people to read. */
  topic: string;
  /** Who sees it without taking part: nobody, or everybody in the org. */
  visibility: "org" | "private";
  /** How sensitive data is, the least first. */
  data_class: "confidential" | "internal" | "public" | "restricted";
  created_by: string;
  created_at: string;
  head_seq: number;
  last_at: string;
  responsible_id: string;
  kept_from: number;
  retention_days: number | null;
  archived_at: string | null;
  with_ids: string[];
}

/** The conversation is archived: it can be read, and nothing is said in it. */
export interface ConversationArchived {
  type: "/problems/messaging/conversation-archived";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  conversation_id: string;
}

/** What a follower of a conversation is told: an entry, or something that is never kept, which has the number of the last entry. */
export interface ConversationChange {
  seq: number;
  entry: Entry | null;
  typing: Typing | null;
  presence: Presence | null;
  mark: ReadMark | null;
  stream: StreamChange | null;
}

/** There is as much of this in the conversation as there may be. */
export interface ConversationFull {
  type: "/problems/messaging/conversation-full";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  what: string;
  most: number;
}

/** No conversation that the caller may see has this id. */
export interface ConversationNotFound {
  type: "/problems/messaging/conversation-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  conversation_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ConversationPage {
  items: Conversation[];
  next_cursor: string | null;
}

/** A conversation as it is; or, behind a cursor, what came after it. `seq` is the last entry contained. handoffs: the one that waits and the one that was claimed, where there are any. recovered: whether `entries` continue the caller's cursor; otherwise it starts from `participants` and the newest `messages`, oldest first. complete: whether all participants are there. streams: what is being said now, as far as it is shown. When `seq` is below the conversation's `head_seq`, there is more to ask for. */
export interface ConversationSnapshot {
  conversation: Conversation;
  seq: number;
  participants: Participant[];
  messages: Message[];
  entries: Entry[];
  recovered: boolean;
  complete: boolean;
  handoffs: Handoff[];
  streams: MessageStream[];
}

/** Create an agent in the org; its secret is shown this once. It may do no more than its creator, and less with `scopes`. Without `number` it gets the next one. */
export interface CreateAgent {
  /** Short name of an agent, unique in its org. */
  key: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
  /** Application: a program of the org. */
  kind?: "agent" | "application";
  number?: number | null;
  unit_id?: string | null;
  scopes?: string[] | null;
}

/** Make a link by which the caller answers an ask once, without a session. */
export interface CreateAskLink {
  ask_id: string;
  /** Seconds for which it holds. */
  ttl_s?: number;
}

/** Propose changes of several resources. Nothing changes before the set is applied. */
export interface CreateChangeSet {
  title: string;
  changes?: Change[];
  review?: boolean;
}

/** Begin a group, a channel or a conversation of agents; the caller owns it. Only agents take part in one of agents, and who began it. visibility: of a channel `org` if nothing is said, of others always `private`. */
export interface CreateConversation {
  kind: "agents" | "channel" | "group";
  /** A name for people to read, with something to see and no control characters; or none. */
  name?: string;
  /** A name for people to read, with something to see and no control characters; or none. */
  topic?: string;
  visibility?: "org" | "private" | null;
  /** How sensitive data is, the least first. */
  data_class?: "confidential" | "internal" | "public" | "restricted";
  /** Who takes part from the beginning, besides the caller. */
  participants?: string[];
}

/** Create a key for the caller, with scopes that the caller holds; the secret is shown this once. What it may do at any moment is what the key, its owner's role and the org allow. */
export interface CreateKey {
  /** A name for people to read, with something to see and no control characters. */
  name: string;
  scopes: string[];
  expires_at?: string | null;
  unit_id?: string | null;
}

/** Create an org; the caller, a user, is its owner. */
export interface CreateOrg {
  /** A name for people to read, with something to see and no control characters. */
  name: string;
}

/** Create a resource with a first draft. */
export interface CreateResource {
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  /** The resource itself; its shape depends on the type (`Graph`, `Component`). */
  content: { [name: string]: unknown };
  name?: string;
  visibility?: "org" | "private" | "public";
  tags?: string[];
}

/** Create a role of the org's own, with scopes that the caller holds. */
export interface CreateRole {
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  key: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
  scopes: string[];
}

/** Keep a secret. It is not shown again: the services in `used_by` get it, each for a short while. */
export interface CreateSecret {
  /** Short name of a secret, unique in its org, or among those of its owner. */
  name: string;
  /** What is to be kept. */
  value: string;
  used_by: string[];
  /** `org`: used for everybody of the org; `personal`: only for its owner; `sealed`: as that, and only while the owner has opened it with a passphrase. */
  protection?: "org" | "personal" | "sealed";
  passphrase?: string | null;
  /** Where a secret may be sent; without any to wherever it is used. */
  hosts?: string[];
}

/** Create a project, an application or a service of the org. */
export interface CreateUnit {
  /** An application is the org's or a project's, a service the org's or any other unit's. */
  kind: "application" | "project" | "service";
  /** Short name, unique among its kind in the org. */
  key: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
  parent_id?: string | null;
}

/** Announce a file; its parts follow one by one and may be repeated. */
export interface CreateUpload {
  /** Name of a file without a path, with something to see and no control characters. */
  name: string;
  size: number;
  /** RFC 6838, without parameters. */
  media_type?: string;
  sha256?: string | null;
  visibility?: "org" | "private" | "public";
}

/** A secret of an agent, of which only the id and the times are known. */
export interface Credential {
  id: string;
  created_at: string;
  expires_at: string | null;
}

/** The agent has no credential of this id. */
export interface CredentialNotFound {
  type: "/problems/identity/credential-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  credential_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface CredentialPage {
  items: Credential[];
  next_cursor: string | null;
}

/** Give an administrator of the mesh an access token in any org. The reason is kept in that org's audit log. */
export interface CrossOrg {
  org_id: string;
  /** Why; kept in the audit log, where the org reads it. */
  reason: string;
}

/** Make an environment use no version. Refused while something that is active there uses the resource. */
export interface Deactivate {
  resource_id: string;
  /** `production`, `staging`, ... */
  environment: string;
}

/** The answer took longer than the caller's deadline; whether it took effect is unknown. */
export interface DeadlineExceeded {
  type: "/problems/deadline-exceeded";
  /** For people; may change. */
  title: string;
  status: 504;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Whether something may be done: allowed, allowed once the grant is approved, or refused; and why. */
export interface Decision {
  outcome: "allowed" | "approval" | "refused";
  reason: "approval" | "data_class" | "expired" | "grant" | "no_grant" | "org" | "owner" | "public" | "scope";
  grant_id: string | null;
}

/** Leave a message to others, as an agent, and say why. When all agents have said something, it is decided at once. */
export interface DeferTurn {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
  /** Why the caller would answer, or leaves it to others. */
  justification: string;
}

/** Hand an ask on: who is addressed by name is replaced; to those of a role or a grant another one is added. */
export interface DelegateAsk {
  ask_id: string;
  to: Addressee;
}

/** Delete an agent: its credentials end and its runs are cancelled. */
export interface DeleteAgent {
  /** Id, key or number of an agent. */
  agent: string;
}

/** Delete a file. */
export interface DeleteArtifact {
  artifact_id: string;
}

/** Delete what the caller has said, or, as an owner or admin of the conversation, what anybody has. Its number stays. */
export interface DeleteMessage {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
}

/** Delete a resource with its versions, with `type` one of that type alone. Refused while it is active anywhere or something uses it. */
export interface DeleteResource {
  resource_id: string;
  type?: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset" | null;
}

/** Delete a role that nobody has and nobody is invited to, with its grants. */
export interface DeleteRole {
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
}

/** Delete a run that has ended, with all that is kept of it: for whoever started it, and who manages runs. */
export interface DeleteRun {
  run_id: string;
}

/** Delete a secret. Who manages the org's members may delete anybody's. */
export interface DeleteSecret {
  secret_id: string;
}

/** Delete a unit that nothing is in, with the grants and quotas that are bound to it. */
export interface DeleteUnit {
  unit_id: string;
}

/** A version uses another resource. `used_number` is what it came to when the user was published. */
export interface Dependency {
  resource_id: string;
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  /** Counts a resource's versions from 1. */
  number: number;
  used_id: string;
  used_type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  used_key: string;
  /** Counts a resource's versions from 1. */
  used_number: number;
  pinned: boolean;
}

/** The version uses what was deleted since. */
export interface DependencyGone {
  type: "/problems/catalog/dependency-gone";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  used: string[];
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface DependencyPage {
  items: Dependency[];
  next_cursor: string | null;
}

/** Say that nobody should begin to use a resource, and what to use instead. What uses it goes on. */
export interface Deprecate {
  resource_id: string;
  note?: string;
}

/** One change (as RFC 6902): `old` is what the pointer led to before, `value` what it leads to after. */
export interface Difference {
  op: "add" | "remove" | "replace";
  path: string;
  /** Any JSON value. */
  value: unknown;
  /** Any JSON value. */
  old: unknown;
}

/** A conversation of two has these two in it, always. */
export interface DirectConversation {
  type: "/problems/messaging/direct-conversation";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  conversation_id: string;
}

/** Make an administrator of the mesh none; its sessions end. For those who are. */
export interface DismissAdministrator {
  account_id: string;
}

/** Read a file's bytes as a stream: all, or those of a range, as many of them as there are. */
export interface DownloadArtifact {
  artifact_id: string;
  offset?: number;
  length?: number | null;
}

/** The changeable content from which the next version is published. */
export interface Draft {
  resource_id: string;
  /** Counts the changes of a resource's draft. */
  revision: number;
  /** The resource itself; its shape depends on the type (`Graph`, `Component`). */
  content: { [name: string]: unknown };
}

/** Draw a run as GetRunPicture does, and answer with the image (`image/svg+xml`) or text (`text/vnd.mermaid`) itself. */
export interface DrawRun {
  run_id: string;
  /** What the picture is written in. */
  format?: "mermaid" | "svg";
}

/** Forget what the caller was about to say. */
export interface DropMessageDraft {
  conversation_id: string;
}

/** Say otherwise what the caller has said; what it said before is kept. With another text it addresses whom that names, and `mentions`. */
export interface EditMessage {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
  text?: string | null;
  parts?: MessagePart[] | null;
  /** Who is addressed, besides those whom the text names by `@alias`. */
  mentions?: string[];
}

/** An account with this e-mail address exists. */
export interface EmailTaken {
  type: "/problems/identity/email-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  email: string;
}

/** A message that a job emits. */
export interface Emitted {
  /** Name of a port. */
  port: string;
  /** Any JSON value. */
  value: unknown;
}

/** End every session of the caller but the one that asks. */
export interface EndOtherSessions {
}

/** End one of the caller's sessions: its tokens are refused everywhere. */
export interface EndSession {
  session_id: string;
}

/** Let what was said be a message of the conversation. A stream that has ended before stays what it is, as the answer tells. at: how many characters were said; it is refused when fewer were taken. */
export interface EndStream {
  stream_id: string;
  at?: number | null;
  parts?: MessagePart[];
  /** What else is known of a message, by name: 16 at the most, 2 KiB in all. */
  attributes?: { [name: string]: unknown };
}

/** Begin to set up a second factor. It counts once a code of it has come. */
export interface EnrolTotp {
}

/** One thing that happened in a conversation, numbered from 1 without gaps, the same for everybody. It carries what it happened to as that is since then (read later, a message as it is now): the message, the participant, the conversation, the handoff, or the turn. So a snapshot with the entries behind it applied is the next snapshot. */
export interface Entry {
  seq: number;
  at: string;
  /** What happened: to the conversation, to who is responsible for it, to somebody in it, to a message, to who speaks, or to whose turn it is to answer. */
  kind: "changed" | "control" | "created" | "deleted" | "edited" | "handoff" | "participant" | "pinned" | "posted" | "reacted" | "responsible" | "turn";
  actor_id: string;
  message: Message | null;
  participant: Participant | null;
  conversation: Conversation | null;
  handoff: Handoff | null;
  control: Controlled | null;
  turn: AnswerTurn | null;
}

/** Tell whether the caller may do something to a resource, and why; or somebody else, for who manages access. For oneself the token counts: what a key does not hold is refused. `visibility` and `owner_id` are the resource's. */
export interface ExplainAccess {
  /** `<service>:<verb>`. */
  verb: string;
  /** `<type>/<key or id>`, with further parts where a resource has some. */
  resource: string;
  principal_id?: string | null;
  /** To whom a resource is open without a grant. */
  visibility?: "org" | "private" | "public";
  owner_id?: string | null;
  /** How sensitive data is, the least first. */
  data_class?: "confidential" | "internal" | "public" | "restricted";
}

/** A decision and what it rests on: the role, whether its scopes hold the verb, and the nearest grants. */
export interface Explanation {
  decision: Decision;
  principal_id: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  holds_verb: boolean;
  grants: Weighed[];
}

/** Read the org's whole audit log, oldest first, a record a line. */
export interface ExportAudit {
  /** Number of a record in its org's log, from 1. */
  after?: number;
}

/** Read all that is kept of a conversation, one entry after another: for its owners and admins, and for either of two. */
export interface ExportConversation {
  conversation_id: string;
}

/** Read the org's resources that the caller may see as the changes that make them, by type and key, as of one moment. */
export interface ExportResources {
}

/** Say that a job has failed. One that is retryable is offered again, after a while, until it was offered often enough. */
export interface FailJob {
  job_id: string;
  /** The fencing token that the job was claimed with. */
  token: number;
  message: string;
  kind?: string;
  retryable?: boolean;
  /** What the job has cost, in millionths of the org's currency: it stands in the run's timeline. */
  cost?: number;
}

/** One thing wrong with the input: where (JSON pointer, RFC 6901) and what. */
export interface Fault {
  pointer: string;
  detail: string;
}

/** Start what a trigger of any kind starts, now and as the caller, or as the trigger's agent if the caller may. `input` goes beside the trigger's own. It works while the trigger is paused. */
export interface FireTrigger {
  trigger_id: string;
  /** Values by the names of the graph's inputs. */
  input?: { [name: string]: unknown };
}

/** The actor lacks the grant for this. */
export interface Forbidden {
  type: "/problems/forbidden";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  scope: string;
}

/** The resource is public and another org's: its versions can be read, nothing of it changed. */
export interface ForeignResource {
  type: "/problems/catalog/foreign-resource";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  resource: string;
}

/** Send a link that resets the password to this address, if an account has it. The answer tells nothing of that. */
export interface ForgotPassword {
  /** The e-mail address of an account. */
  email: string;
}

/** Start a run of the same graph version with other input: what is not given here is as in the run. All is done anew. */
export interface ForkRun {
  run_id: string;
  /** Values by the names of the graph's inputs. */
  input?: { [name: string]: unknown };
}

/** A message that was found. */
export interface FoundMessage {
  message: Message;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface FoundMessagePage {
  items: FoundMessage[];
  next_cursor: string | null;
}

/** Read an agent by its id, key or number. */
export interface GetAgent {
  /** Id, key or number of an agent. */
  agent: string;
}

/** Read what is known of a file. */
export interface GetArtifact {
  artifact_id: string;
}

/** Read what is asked, of whoever may answer it. */
export interface GetAsk {
  ask_id: string;
}

/** Read the session of the browser's cookies, with the CSRF token that a page needs after it was loaded. */
export interface GetBrowserSession {
}

/** Read a change set without its changes. */
export interface GetChangeSet {
  set_id: string;
}

/** Read one conversation. */
export interface GetConversation {
  conversation_id: string;
}

/** Read the draft of a resource of the org; with `type`, of one of that type alone. */
export interface GetDraft {
  resource_id: string;
  type?: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset" | null;
}

/** Read one handoff: of a conversation that the caller sees, or one that it may claim. */
export interface GetHandoff {
  handoff_id: string;
}

/** Read the keys that verify access tokens. */
export interface GetJwks {
}

/** Read a key; its secret is not known. */
export interface GetKey {
  key_id: string;
}

/** Read who the caller is and what it may do. */
export interface GetMe {
}

/** Read one message. */
export interface GetMessage {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
}

/** Read what the caller is about to say. */
export interface GetMessageDraft {
  conversation_id: string;
}

/** Read what the caller is told of, and how; without any, nothing. */
export interface GetNotificationPreferences {
}

/** Read the org that the caller is in, and its settings. */
export interface GetOrg {
}

/** Read what a run gave. */
export interface GetOutput {
  run_id: string;
}

/** Read one resource. */
export interface GetResource {
  resource_id: string;
}

/** Read one run. */
export interface GetRun {
  run_id: string;
}

/** Draw the graph that a run executes, with what has become of each step so far. */
export interface GetRunPicture {
  run_id: string;
  /** What the picture is written in. */
  format?: "mermaid" | "svg";
}

/** Read how long the org's runs are kept. */
export interface GetRunRetention {
}

/** Read a run with the runs that it started, and what those started, as far as the bounds go. */
export interface GetRunTree {
  run_id: string;
  /** Generations below the run. */
  depth?: number;
  /** Runs in the tree, the run itself included. */
  limit?: number;
}

/** Read whether the caller has a second factor. */
export interface GetSecondFactor {
}

/** Read what is known of a secret without its value. */
export interface GetSecret {
  secret_id: string;
}

/** Read what is shown of a stream by now, from `at` on. Of one that has ended the message alone tells it. */
export interface GetStream {
  stream_id: string;
  /** Characters of a stream. */
  at?: number;
}

/** Read what each step of a run did and when. */
export interface GetTimeline {
  run_id: string;
}

/** Read a trigger: when it last fired and why not, and when it is due. */
export interface GetTrigger {
  trigger_id: string;
}

/** Read who claimed to answer a message, who deferred and why, and who answers. */
export interface GetTurn {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
}

/** Read a unit. */
export interface GetUnit {
  unit_id: string;
}

/** Read which parts of an open upload are missing, to go on with one that was interrupted: the first 200 of them. */
export interface GetUpload {
  upload_id: string;
}

/** Read a version by number or SHA-256. */
export interface GetVersion {
  resource_id: string;
  /** Number or SHA-256 of a version. */
  version: string;
}

/** Let a holder do something that the caller's role may do to resources of a pattern, under conditions. */
export interface GiveGrant {
  holder: Holder;
  /** `<service>:<verb>`. */
  verb: string;
  /** A resource's name; `*` stands for any characters of one part, `**` at the end for all further parts. */
  resource: string;
  conditions?: Conditions | null;
}

/** A holder may do this to resources of this pattern. It opens what is not open to the holder's role already. */
export interface Grant {
  id: string;
  org_id: string;
  holder: Holder;
  /** `<service>:<verb>`. */
  verb: string;
  /** A resource's name; `*` stands for any characters of one part, `**` at the end for all further parts. */
  resource: string;
  given_by: string;
  given_at: string;
  conditions: Conditions;
  approved_by: string | null;
  approved_at: string | null;
}

/** The org has no grant of this id. */
export interface GrantNotFound {
  type: "/problems/identity/grant-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  grant_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface GrantPage {
  items: Grant[];
  next_cursor: string | null;
}

/** A place in the graph (JSON Pointer) that differs between two versions. */
export interface GraphChange {
  op: "add" | "remove" | "replace";
  path: string;
}

/** The graph cannot run as it is; every fault is listed. */
export interface GraphInvalid {
  type: "/problems/runtime/graph-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** No graph of this key is active in this environment. */
export interface GraphNotFound {
  type: "/problems/runtime/graph-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  graph: string;
}

/** Ask somebody to take a conversation over; until they do, who is responsible stays so. They are asked in their inbox, too. For who is responsible, for its owners and admins, and for either of two. */
export interface HandOff {
  conversation_id: string;
  to: Addressee;
  /** Why it is handed over, or given back. */
  reason: string;
  /** What whoever takes over has to know of the conversation. */
  summary?: string;
  /** Seconds in which somebody has to claim it. */
  timeout_s?: number;
  held_s?: number | null;
}

/** A conversation on its way from who is responsible for it to somebody else, as it is now. from_id: to whom it goes back. by: who began it; claimed_by: who is responsible since then. due_at: when it expires that waits, or goes back by itself that was claimed. note: why it ended as it did. */
export interface Handoff {
  id: string;
  org_id: string;
  conversation_id: string;
  /** Waiting: for somebody to claim it. Returned: whoever claimed it has given the conversation back. Expired: nobody claimed it in time. Passed: the conversation went on to somebody else meanwhile. */
  state: "cancelled" | "claimed" | "declined" | "expired" | "passed" | "returned" | "waiting";
  to: Addressee;
  from_id: string;
  by: string;
  /** Why it is handed over, or given back. */
  reason: string;
  /** What whoever takes over has to know of the conversation. */
  summary: string;
  created_at: string;
  due_at: string | null;
  held_s: number | null;
  claimed_by: string | null;
  claimed_at: string | null;
  ended_at: string | null;
  note: string;
}

/** Ask somebody to take the conversation over; `summary`: what they have to know. timeout_s: in which they claim it. */
export interface HandoffControl {
  kind: "handoff";
  to: Addressee;
  /** Why, for people to read. */
  reason: string;
  /** What the next one has to know, for them to read. */
  summary?: string;
  /** Seconds. */
  timeout_s?: number;
}

/** The handoff was claimed by somebody else, or is over. */
export interface HandoffEnded {
  type: "/problems/messaging/handoff-ended";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  /** Waiting: for somebody to claim it. Returned: whoever claimed it has given the conversation back. Expired: nobody claimed it in time. Passed: the conversation went on to somebody else meanwhile. */
  state: "cancelled" | "claimed" | "declined" | "expired" | "passed" | "returned" | "waiting";
}

/** No handoff that concerns the caller has this id. */
export interface HandoffNotFound {
  type: "/problems/messaging/handoff-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  handoff_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface HandoffPage {
  items: Handoff[];
  next_cursor: string | null;
}

/** The conversation waits already for somebody to take it over. */
export interface HandoffWaits {
  type: "/problems/messaging/handoff-waits";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  handoff_id: string;
}

/** Say that a job is still being done: it stays its claimer's for another `lease_s`. */
export interface HeartbeatJob {
  job_id: string;
  /** The fencing token that the job was claimed with. */
  token: number;
}

/** Who holds a grant: `id` names a principal or a unit, `role` a role; everyone has neither. */
export interface Holder {
  /** A user or agent, a role, those of a unit and of its parts, or everybody in the org. */
  kind: "everyone" | "principal" | "role" | "unit";
  id?: string | null;
  role?: string | null;
}

/** The org has no such principal, role or unit. */
export interface HolderNotFound {
  type: "/problems/identity/holder-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  holder: Holder;
}

/** The message is right, and no run could be started. Who owns the trigger sees why. */
export interface HookRefused {
  type: "/problems/runtime/hook-refused";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** A webhook's new token, which is shown this once. Posts carry it in X-Hook-Token. */
export interface HookToken {
  trigger_id: string;
  hook: string;
  token: string;
}

/** Nothing here takes this message: the address, the signature or the token is not right, or it is switched off. */
export interface HookUnknown {
  type: "/problems/runtime/hook-unknown";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** What a post to a webhook has led to: the run, and its output where the answer waited for it. */
export interface Hooked {
  run_id: string;
  state: "cancelled" | "failed" | "paused" | "queued" | "recovering" | "running" | "succeeded" | "waiting";
  output: { [name: string]: unknown } | null;
}

/** The same Idempotency-Key is being worked on at this moment. */
export interface InFlight {
  type: "/problems/in-flight";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  retry_after_s: number;
}

/** Something depends on it: other resources that use it, or environments in which it is active. */
export interface InUse {
  type: "/problems/catalog/in-use";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  users: string[];
  environments: string[];
}

/** One change of an inbox, numbered from the snapshot on: an ask as it is now, or the id of one that has left it. */
export interface InboxChange {
  seq: number;
  ask: Ask | null;
  left: string | null;
}

/** Whoever follows `asks` begins with this: what they may answer now, the newest first. `more`: and there are others. */
export interface InboxSnapshot {
  seq: number;
  asks: Ask[];
  more: boolean;
}

/** The input does not fit the graph; every fault is listed. */
export interface InputInvalid {
  type: "/problems/runtime/input-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** Let an assistant work in the org: its agent is made, if there is none of the key, and its graph activated; again, it is brought up to date. The answer comes when it listens, or after five seconds. All of it is done as the caller, who may do no less. An agent that is there already keeps what it may do. Those that ship are among the public resources of type `assistant`. */
export interface InstallAssistant {
  /** Name of a resource, unique per org and type. */
  assistant: string;
  /** What the assistant asks for, by name. */
  settings?: { [name: string]: unknown };
  key?: string | null;
}

/** An assistant at work: the agent to talk to, and the graph that answers for it. */
export interface Installed {
  agent_id: string;
  /** Short name of an agent, unique in its org. */
  agent: string;
  resource_id: string;
  /** Name of a resource, unique per org and type. */
  graph: string;
  /** Counts a resource's versions from 1. */
  number: number;
}

/** Something went wrong here; the trace id finds it in the record. */
export interface Internal {
  type: "/problems/internal";
  /** For people; may change. */
  title: string;
  status: 500;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Tell what a token is worth: the caller's own, one for the caller's org, and to services of the mesh any. The caller comes with a token, or with client credentials by HTTP Basic. */
export interface IntrospectToken {
  /** A token, as it was given. */
  token: string;
  token_type_hint?: string | null;
}

/** What a token is worth at this moment. Of one that is worth nothing, nothing else is told. */
export interface Introspection {
  active: boolean;
  scope?: string | null;
  client_id?: string | null;
  username?: string | null;
  token_type?: "Bearer" | "refresh_token" | null;
  exp?: number | null;
  iat?: number | null;
  nbf?: number | null;
  sub?: string | null;
  aud?: string | null;
  iss?: string | null;
  jti?: string | null;
  org?: string | null;
  kind?: string | null;
}

/** The input does not fit the contract. */
export interface Invalid {
  type: "/problems/invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** The client id and the secret are missing, or do not fit together. */
export interface InvalidClient {
  type: "/problems/identity/invalid-client";
  /** For people; may change. */
  title: string;
  status: 401;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  error: "invalid_client";
  error_description: string;
}

/** The request lacks a parameter, has one twice, or holds what it cannot. */
export interface InvalidRequest {
  type: "/problems/identity/invalid-request";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  error: "invalid_request";
  error_description: string;
  faults: Fault[];
}

/** The client asks for a scope that it does not hold. */
export interface InvalidScope {
  type: "/problems/identity/invalid-scope";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  error: "invalid_scope";
  error_description: string;
}

/** An invitation into an org. Its token is shown this once. */
export interface Invitation {
  id: string;
  /** An e-mail address. */
  email: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  token: string;
  expires_at: string;
}

/** No open invitation has this token or id. */
export interface InvitationNotFound {
  type: "/problems/identity/invitation-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Invite somebody into the org; the token is shown this once. */
export interface InviteMember {
  /** An e-mail address. */
  email: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role?: string;
}

/** Get a ticket for a live connection from a page of another origin, whose sockets carry neither token nor cookie. */
export interface IssueLiveTicket {
}

/** One message for a component, to be done by whoever claimed it until `until`; heartbeats move that. key: the same at every attempt, so what the work is idempotent by. inputs: by the port that they came to. */
export interface Job {
  id: string;
  /** Name of a component. */
  component: string;
  run_id: string;
  key: string;
  config: { [name: string]: unknown };
  inputs: { [name: string]: unknown };
  token: number;
  attempt: number;
  attempts: number;
  lease_s: number;
  until: string;
}

/** Until when a job is its claimer's. */
export interface JobLease {
  until: string;
}

/** The job is another worker's: nothing was heard of this one in time, or it never claimed it. */
export interface JobLost {
  type: "/problems/runtime/job-lost";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  job_id: string;
}

/** No job of the org has this id, or it has its outcome, or its run has ended. */
export interface JobNotFound {
  type: "/problems/runtime/job-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  job_id: string;
}

/** Jobs that were claimed together; none when there was nothing to be done. */
export interface Jobs {
  jobs: Job[];
}

/** Take part in a channel of the org, in what one was invited to, or what a grant of `messaging:write` opens. Who may only read does so in person, and looks on in a channel. */
export interface JoinConversation {
  conversation_id: string;
}

/** A public signing key (RFC 8037). */
export interface Jwk {
  kty: "OKP";
  crv: "Ed25519";
  kid: string;
  x: string;
  alg: "EdDSA";
  use: "sig";
}

/** The keys that verify access tokens (RFC 7517). */
export interface Jwks {
  keys: Jwk[];
}

/** Keep what the caller is about to say, for its other devices; it replaces what was kept. */
export interface KeepMessageDraft {
  conversation_id: string;
  /** Markdown (CommonMark). */
  text: string;
  reply_to?: number | null;
}

/** The caller sees no key of this id. */
export interface KeyNotFound {
  type: "/problems/identity/key-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  key_id: string;
}

/** The Idempotency-Key was used with another request. */
export interface KeyReused {
  type: "/problems/key-reused";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The org has a resource of this type and key. */
export interface KeyTaken {
  type: "/problems/catalog/key-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  resource_type: string;
  key: string;
}

/** The mesh would be left without an active administrator. */
export interface LastAdministrator {
  type: "/problems/identity/last-administrator";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** An org keeps at least one owner. */
export interface LastOwner {
  type: "/problems/identity/last-owner";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Take part no more, or decline an invitation. When its last owner leaves, who came first of its admins, or of its members, owns it. Who may only read does so in person. */
export interface LeaveConversation {
  conversation_id: string;
}

/** Leave an org of the caller's, as if taken out of it: with one's keys, grants and own secrets. */
export interface LeaveOrg {
  org_id: string;
}

/** The size of the body has to be announced with Content-Length. */
export interface LengthRequired {
  type: "/problems/gateway/length-required";
  /** For people; may change. */
  title: string;
  status: 411;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Say what the org's API keys may do at the most, from within a minute on; null lifts the limit. */
export interface LimitKeys {
  scopes: string[] | null;
}

/** List the accounts of the mesh, the newest first, or the one of an address. For its administrators. */
export interface ListAccounts {
  email?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  after?: string | null;
}

/** List which version each environment uses. */
export interface ListActivations {
  resource_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the agents of the org by key: all, those of a name, of a kind or in a unit. */
export interface ListAgents {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  name?: string | null;
  kind?: "agent" | "application" | null;
  unit_id?: string | null;
}

/** List the caller's standing approvals, the newest first; everybody's for who manages access. */
export interface ListApprovals {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the files of the org that the caller may see, newest first. */
export interface ListArtifacts {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the asks that the caller may answer, or might have, the newest first. */
export interface ListAsks {
  /** Expired: nobody answered in time. Withdrawn: its run has ended. */
  state?: "answered" | "expired" | "open" | "withdrawn";
  kind?: "approval" | "choice" | "handoff" | "input" | "vote" | null;
  run_id?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List what was done in the org, newest first: everything, what somebody did, or one action. */
export interface ListAudit {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  action?: string | null;
  actor_id?: string | null;
}

/** List the change sets of the org that the caller may see, newest first. */
export interface ListChangeSets {
  status?: "applied" | "approved" | "open" | "rejected" | "undone" | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the changes of a set in their order; a page ends early when they are long. */
export interface ListChanges {
  set_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the channels that are open to the org, by name; `name`: how it begins. */
export interface ListChannels {
  /** A name for people to read. */
  name?: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the conversations that the caller takes part in or is invited to, those where something happened last first. */
export interface ListConversations {
  kind?: "agents" | "channel" | "direct" | "group" | null;
  archived?: boolean;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List an agent's credentials on one page, oldest first; their secrets are not known. */
export interface ListCredentials {
  /** Id, key or number of an agent. */
  agent: string;
}

/** List what a version uses, by type and key. */
export interface ListDependencies {
  resource_id: string;
  /** Number or SHA-256 of a version. */
  version: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the org's versions that use a resource and are the latest of theirs, or active somewhere. */
export interface ListDependents {
  resource_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the grants of the org, oldest first: all, or those that name a principal or a unit. */
export interface ListGrants {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  holder_id?: string | null;
}

/** List the handoffs that wait for somebody like the caller, or those that it has claimed; or all of a conversation. The newest first. */
export interface ListHandoffs {
  state?: "cancelled" | "claimed" | "declined" | "expired" | "passed" | "returned" | "waiting" | null;
  conversation_id?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the open invitations of the org, oldest first. */
export interface ListInvitations {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the caller's keys, or with `everyones` those of the org for whoever manages its members. */
export interface ListKeys {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  everyones?: boolean;
}

/** List the mails of a development mesh that has no mail server, the newest first. For its administrators. */
export interface ListMails {
  /** How many items a page holds at the most. */
  limit?: number;
  after?: string | null;
}

/** List how far those who take part have read, by id. */
export interface ListMarks {
  conversation_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the members of the org. */
export interface ListMembers {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List what a message said before it was edited, on one page, the oldest first; nothing of one that was deleted. */
export interface ListMessageRevisions {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
}

/** List the messages of a conversation, newest first; or those after a number, oldest first; or those around one, oldest first. thread: those below a message, and that one. pinned: those that are pinned. A page may hold fewer than `limit`: its bytes are bounded too. */
export interface ListMessages {
  conversation_id: string;
  since?: number | null;
  around?: number | null;
  thread?: number | null;
  pinned?: boolean;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List every time that an environment went to another version, newest first. */
export interface ListMoves {
  resource_id: string;
  /** `production`, `staging`, ... */
  environment: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List who takes part in a conversation or is invited to, by id; those who manage it see who is banned too. */
export interface ListParticipants {
  conversation_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List who of those in a conversation is about, on one page. */
export interface ListPresence {
  conversation_id: string;
}

/** List the keys of the org's publishers, newest first. */
export interface ListPublisherKeys {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the quotas of the org with what is used of them: all, or those of a unit, principal or key. */
export interface ListQuotas {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  subject_id?: string | null;
}

/** List the resources that the caller may see, its org's and public ones, by key. */
export interface ListResources {
  type?: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset" | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the roles that members of the org can have, on one page: those of every org, then its own by key. */
export interface ListRoles {
}

/** List what the steps of a run have said, in the order in which they did. */
export interface ListRunLog {
  run_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the org's runs, newest first: those for which everything holds that is asked for. agent, actor_id: who they act as; an agent that was deleted is found by its id alone. since, until: when they were created, from the first moment to before the second; what a step started counts from when the run of that step was created. parent_id: the run that started them. origin_id: the run that they were made from. */
export interface ListRuns {
  state?: "cancelled" | "failed" | "paused" | "queued" | "recovering" | "running" | "succeeded" | "waiting" | null;
  graph?: string | null;
  agent?: string | null;
  actor_id?: string | null;
  started_by?: string | null;
  tag?: string | null;
  parent_id?: string | null;
  origin_id?: string | null;
  since?: string | null;
  until?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the org's secrets and the caller's own, without their values, oldest first. */
export interface ListSecrets {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the caller's open sessions, the newest first. */
export interface ListSessions {
  /** How many items a page holds at the most. */
  limit?: number;
  after?: string | null;
}

/** List who vouches for a version; everybody who may read it can check that. */
export interface ListSignatures {
  resource_id: string;
  /** Number or SHA-256 of a version. */
  version: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the org's effective triggers, oldest first: all, those of a graph, of a kind, or in an environment. */
export interface ListTriggers {
  graph?: string | null;
  kind?: "event" | "manual" | "message" | "run_end" | "schedule" | "webhook" | null;
  environment?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** List the units of the org by key: all, those of a kind, or the parts of one. */
export interface ListUnits {
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
  kind?: "application" | "project" | "service" | null;
  parent_id?: string | null;
}

/** List the versions of a resource, newest first. */
export interface ListVersions {
  resource_id: string;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** A ticket that opens one live connection, once: offered as the subprotocol `polis.ticket.<ticket>` beside `polis.v1.json`. */
export interface LiveTicket {
  /** An opaque token. */
  ticket: string;
  expires_in_s: number;
}

/** What a step has said of an item, numbered in its run from 1 without gaps. value: what was said with it, if anything was. What the schemas of the step's messages keep back is marked as `redacted`, what is too large as `left_out_bytes`. */
export interface LogLine {
  number: number;
  at: string;
  /** Name of a node, behind those of the nodes that run the graph that it is in; `/@undo`: what undoes it. */
  step: string;
  item: string;
  level: "error" | "info" | "success" | "warning";
  message: string;
  /** Any JSON value. */
  value: unknown;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface LogLinePage {
  items: LogLine[];
  next_cursor: string | null;
}

/** A mail that nobody sent: this mesh has no mail server, and shows it to its administrators instead. */
export interface Mail {
  id: string;
  to: string;
  subject: string;
  text: string;
  created_at: string;
  expires_at: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MailPage {
  items: Mail[];
  next_cursor: string | null;
}

/** Mails are sent here, or this is no development mesh: nobody reads them here. */
export interface MailsAreSent {
  type: "/problems/identity/mails-are-sent";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Make the secret that the webhook of the caller's notifications is signed with; its value is shown this once. Everybody who may be told of messages has one, also who keeps no others: personal, for this host alone, and called `notifications.webhook`. Made again, it is the same with another value. */
export interface MakeNotificationSecret {
  /** A host that a secret may be sent to; `*.` stands for every name below, a port for that one alone. */
  host: string;
}

/** The input could not be read at all. */
export interface Malformed {
  type: "/problems/malformed";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  reason: string;
}

/** Say how far the caller has read, or what has reached it; it never goes back. What is read was delivered. */
export interface MarkConversation {
  conversation_id: string;
  read_seq?: number | null;
  delivered_seq?: number | null;
}

/** Who the caller is, in which org, and what it may do there. */
export interface Me {
  principal: Principal;
  org_id: string;
  role: string;
  scopes: string[];
  memberships: Membership[];
}

/** A user in an org. */
export interface Member {
  principal_id: string;
  /** An e-mail address. */
  email: string;
  /** A name for people to read. */
  name: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  since: string;
}

/** No member of this org has this id. */
export interface MemberNotFound {
  type: "/problems/identity/member-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  principal_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MemberPage {
  items: Member[];
  next_cursor: string | null;
}

/** A user's place in an org. `scopes`: what the role may do, when it is one of the org's own. `second_factor`: whether the org wants one of those who manage it. */
export interface Membership {
  org: Org;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  scopes: string[];
  second_factor: boolean;
}

/** What somebody said, as it is now. Its number is that of the entry that posted it. thread: the message that it was posted below. A deleted one has its number, sender and times, and nothing that was said. */
export interface Message {
  conversation_id: string;
  seq: number;
  sender_id: string;
  sent_at: string;
  /** Markdown (CommonMark). */
  text: string;
  parts: MessagePart[];
  reply_to: number | null;
  thread: number | null;
  mentions: string[];
  /** What else is known of a message, by name: 16 at the most, 2 KiB in all. */
  attributes: { [name: string]: unknown };
  client_id: string | null;
  revision: number;
  edited_at: string | null;
  deleted_at: string | null;
  deleted_by: string | null;
  pinned_at: string | null;
  pinned_by: string | null;
  reactions: Reaction[];
  stream: Streamed | null;
}

/** The message was deleted; nothing can be done with it. */
export interface MessageDeleted {
  type: "/problems/messaging/message-deleted";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  seq: number;
}

/** What somebody is about to say. */
export interface MessageDraft {
  conversation_id: string;
  /** Markdown (CommonMark). */
  text: string;
  updated_at: string;
  reply_to: number | null;
}

/** The caller has nothing unsent in this conversation. */
export interface MessageDraftNotFound {
  type: "/problems/messaging/message-draft-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  conversation_id: string;
}

/** The conversation has no message of this number, or keeps it no more. */
export interface MessageNotFound {
  type: "/problems/messaging/message-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  seq: number;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MessagePage {
  items: Message[];
  next_cursor: string | null;
}

/** A structured part of a message: a card or form with its content, or audio or another file, which is an artifact. An ask is put there by a run, with `ask_id`, `kind` and `decisions` as its content; a reply to the message answers it: with one of the decisions as its text, or by a form whose content has `decision`, `value` and `note`. name, media_type, size: of the file, as they are known of the artifact; what a sender says of them is passed over. */
export interface MessagePart {
  kind: "ask" | "audio" | "card" | "file" | "form";
  /** A name for people to read. */
  title?: string;
  content?: { [name: string]: unknown } | null;
  artifact_id?: string | null;
  name?: string;
  media_type?: string;
  size?: number;
}

/** What a message said before it was edited. */
export interface MessageRevision {
  revision: number;
  /** Markdown (CommonMark). */
  text: string;
  parts: MessagePart[];
  until: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MessageRevisionPage {
  items: MessageRevision[];
  next_cursor: string | null;
}

/** A message that is being said: who says it, and its text from `at` on, of `length` characters that are shown so far. When `at` and the text's length make less than `length`, GetStream has the rest. message_seq: the message that it has become. */
export interface MessageStream {
  stream_id: string;
  conversation_id: string;
  producer_id: string;
  /** It goes on; it waits; it is said to its end; it broke off; it was ended by somebody; its run was, too. */
  state: "cancelled" | "complete" | "open" | "partial" | "paused" | "preempted";
  began_at: string;
  /** Markdown (CommonMark). */
  text: string;
  /** Characters of a stream. */
  length: number;
  /** Characters of a stream. */
  at: number;
  reply_to: number | null;
  thread: number | null;
  run_id: string | null;
  /** How urgent something is; 0: as everything else. */
  priority: number;
  message_seq: number | null;
}

/** The path exists, with other methods. */
export interface MethodNotAllowed {
  type: "/problems/method-not-allowed";
  /** For people; may change. */
  title: string;
  status: 405;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  allowed: string[];
}

/** Bring an open run to the version of its graph that is active, where all that it has done holds under that one too. A step with outcomes stays as it was, and so does all in front of it; what lies behind or beside may be another. A step that is at work is begun again, under its key. Without this a run stays with the version that it was started with. dry_run: say what would change, and why it cannot. */
export interface MigrateRun {
  run_id: string;
  /** `production`, `staging`, ... */
  environment?: string;
  dry_run?: boolean;
}

/** What bringing a run to another version changes, and what keeps it from being done. changes: the first of them, if they are very many. migrated: whether the run executes the other version now. */
export interface Migration {
  run: Run;
  /** SHA-256 in hexadecimal. */
  digest: string;
  migrated: boolean;
  changes: GraphChange[];
  obstacles: Fault[];
}

/** What somebody missed: of each conversation where something happened, as WatchConversation tells it. cursor: what a device knows with this answer; it keeps it, and gives it back the next time. gone: conversations that it knew and that the caller takes part in no more. more: whether there is more to ask for at once. */
export interface Missed {
  conversations: ConversationSnapshot[];
  cursor: string;
  gone: string[];
  more: boolean;
}

/** One time that an environment went from a version to another; null stands for none. */
export interface Move {
  change: number;
  number: number | null;
  previous: number | null;
  activated_by: string;
  activated_at: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MovePage {
  items: Move[];
  next_cursor: string | null;
}

/** The caller may say nothing in this conversation for a while. */
export interface MutedInConversation {
  type: "/problems/messaging/muted-in-conversation";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  until: string;
}

/** A conversation that somebody takes part in: as what, how far they have read, and how many messages lie behind that. unread: of others, counted up to 100. invited: whether they have yet to come in. */
export interface MyConversation {
  conversation: Conversation;
  /** Observers read and say nothing. */
  role: "admin" | "member" | "observer" | "owner";
  read_seq: number;
  unread: number;
  invited: boolean;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface MyConversationPage {
  items: MyConversation[];
  next_cursor: string | null;
}

/** A key with its secret text, which is shown this once. */
export interface NewKey {
  key: ApiKey;
  secret: string;
}

/** Replace the caller's recovery codes. */
export interface NewRecoveryCodes {
}

/** What an authenticator is set up with: the secret in Base32, and the same as an `otpauth` URI for a QR code. */
export interface NewTotp {
  secret: string;
  uri: string;
}

/** The grant is approved already, or counts without. */
export interface NoApprovalAwaited {
  type: "/problems/identity/no-approval-awaited";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The run has not succeeded, so it has no output. */
export interface NoOutputYet {
  type: "/problems/runtime/no-output-yet";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  state: string;
}

/** The trigger is no webhook with a token of its own. */
export interface NoToken {
  type: "/problems/runtime/no-token";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The resource has no active version in this environment. */
export interface NotActive {
  type: "/problems/catalog/not-active";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  environment: string;
}

/** The ask is addressed to others, or not to be answered by whom its run is of. */
export interface NotAddressed {
  type: "/problems/runtime/not-addressed";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  ask_id: string;
}

/** The grant has no approval that could be withdrawn. */
export interface NotApproved {
  type: "/problems/identity/not-approved";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Nothing answers at this path. */
export interface NotFound {
  type: "/problems/not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Another agent answers this message, or who does is not decided yet. `until`: when that is over at the latest; none: it is answered. */
export interface NotYourTurn {
  type: "/problems/messaging/not-your-turn";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  message_seq: number;
  holder_id: string | null;
  until: string | null;
}

/** Whoever gave or holds a grant does not approve it. */
export interface NotYoursToApprove {
  type: "/problems/identity/not-yours-to-approve";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The run has succeeded: there is nothing to retry. */
export interface NothingFailed {
  type: "/problems/runtime/nothing-failed";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  state: string;
}

/** No stream of the conversation is open that this could be done to. */
export interface NothingIsSaid {
  type: "/problems/messaging/nothing-is-said";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  conversation_id: string;
}

/** No mails are sent here: SignUp makes an account at once. */
export interface NothingToConfirm {
  type: "/problems/identity/nothing-to-confirm";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** A webhook. secret_id: a secret of the vault that each post is signed with (Standard Webhooks), which its owner may use. */
export interface NotificationHook {
  /** Where it is posted: a host that is public, or that the operator allows. No user, no password. */
  url: string;
  secret_id: string;
}

/** What somebody is told of, and how. `failure`: why a webhook did not arrive the last time that one did not. */
export interface NotificationPreferences {
  about: ("direct" | "everything" | "mentions" | "replies")[];
  mail: boolean;
  hook: NotificationHook | null;
  quiet: QuietHours | null;
  not_of: string[];
  failed_at: string | null;
  failure: string | null;
}

/** A secret for the webhook of notifications, and what it is: for who posts are sent to, to check their signatures with. */
export interface NotificationSecret {
  secret_id: string;
  /** What is to be kept. */
  value: string;
}

/** An access token, as RFC 6749 names its parts. `scope`: all that it may do. */
export interface OAuthToken {
  access_token: string;
  token_type: "Bearer";
  expires_in: number;
  scope: string;
}

/** Sign in with cookies instead of tokens in the answer. */
export interface OpenBrowserSession {
  /** The e-mail address of an account. */
  email: string;
  password: string;
  org_id?: string | null;
}

/** Read the conversation of the caller and somebody else; it is begun when there is none: there is one for each pair. */
export interface OpenDirect {
  principal_id: string;
}

/** An invitation that nobody has accepted yet; its token is not known. */
export interface OpenInvitation {
  id: string;
  /** An e-mail address. */
  email: string;
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  invited_by: string;
  created_at: string;
  expires_at: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface OpenInvitationPage {
  items: OpenInvitation[];
  next_cursor: string | null;
}

/** Open the caller's own sealed secret for a while, so that services may use it for the caller. */
export interface OpenSecret {
  secret_id: string;
  passphrase: string;
  /** Seconds. */
  for_s?: number;
}

/** A session of the caller: on which device, from which address, and by what it was proved. `current` is the one that asks. `id` stays for as long as the session lives. */
export interface OpenSession {
  id: string;
  device: string;
  address: string;
  opened_at: string;
  renewed_at: string;
  expires_at: string;
  proved_by: ("otp" | "pwd")[];
  current: boolean;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface OpenSessionPage {
  items: OpenSession[];
  next_cursor: string | null;
}

/** A tenant: the boundary of data. */
export interface Org {
  id: string;
  /** A name for people to read. */
  name: string;
  created_at: string;
}

/** Something that happened in the org, numbered from the subscription on. `kind` says what (`runtime.run_started`), `data` is that event. Of the kind `messaging.announced` it is an announcement, told on `org` alone. */
export interface OrgEvent {
  seq: number;
  id: string;
  at: string;
  kind: string;
  data: unknown;
}

/** The caller is in no org of this id. */
export interface OrgNotFound {
  type: "/problems/identity/org-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  org_id: string;
}

/** A role and what it may do. Those that every org has cannot be changed and have no maker. */
export interface OrgRole {
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  key: string;
  /** A name for people to read. */
  name: string;
  scopes: string[];
  created_by: string | null;
  created_at: string | null;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface OrgRolePage {
  items: OrgRole[];
  next_cursor: string | null;
}

/** An org and what its API keys may do at the most; without `key_scopes` whatever their owners may. `second_factor`: whether those who manage the org do it in sessions with a second factor alone. */
export interface OrgSettings {
  org: Org;
  key_scopes: string[] | null;
  second_factor: boolean;
}

/** What the caller is told of from now on, by kind. The topics `org` and `agent/<agent>` keep nothing: each subscription begins anew. */
export interface OrgSnapshot {
  seq: number;
  kinds: string[];
}

/** Which run another one was made from, and how. `step`: where a rerun begins anew. */
export interface Origin {
  run_id: string;
  /** `rerun`: from a step on; `fork`: with other input; `retry`: what failed, once more. */
  kind: "fork" | "rerun" | "retry";
  step: string | null;
}

/** What a succeeded run gave, by the names of the graph's outputs. model: of what a model had a word in, the steps that gave its results, unless people have approved of it. */
export interface Output {
  run_id: string;
  /** Values by the names of the graph's outputs. */
  values: { [name: string]: unknown };
  model: { [name: string]: string[] };
}

/** A quota leaves too little for this in its period. */
export interface OverQuota {
  type: "/problems/identity/over-quota";
  /** For people; may change. */
  title: string;
  status: 429;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  quota_id: string;
  /** What is counted: money in millionths of the org's currency, storage in bytes, tokens of models. By now `requests`, `messages`, `runs` and `storage` are; a bound of another meter holds nobody back before its service counts it. A request is a call of an operation by HTTP or a live socket, but for those of identity and of one's own session. A message is what is said by PostMessage, or as a stream. */
  meter: "messages" | "money" | "requests" | "runs" | "storage" | "tokens";
  /** Counted from its beginning in UTC; `total` never begins anew. */
  period: "day" | "hour" | "minute" | "month" | "total";
  most: number;
  left: number;
  resets_at: string | null;
}

/** Too many requests at this moment, from this caller or in all. */
export interface Overloaded {
  type: "/problems/overloaded";
  /** For people; may change. */
  title: string;
  status: 429;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  retry_after_s: number;
}

/** Nobody suspends their own account. */
export interface OwnAccount {
  type: "/problems/identity/own-account";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** A stored part of an upload. */
export interface Part {
  number: number;
  size: number;
}

/** Somebody in a conversation. `muted_until`: until when it may say nothing; `by_id`: who brought it here last. */
export interface Participant {
  principal_id: string;
  kind: "agent" | "application" | "service" | "user";
  /** Observers read and say nothing. */
  role: "admin" | "member" | "observer" | "owner";
  state: "banned" | "invited" | "joined" | "left" | "removed";
  since: string;
  by_id: string;
  muted_until: string | null;
}

/** Nobody of this id takes part in the conversation. */
export interface ParticipantNotFound {
  type: "/problems/messaging/participant-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  principal_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ParticipantPage {
  items: Participant[];
  next_cursor: string | null;
}

/** What somebody is in a conversation: joined or invited, as what, and since when that is so. */
export interface Participation {
  conversation_id: string;
  /** Observers read and say nothing. */
  role: "admin" | "member" | "observer" | "owner";
  state: "banned" | "invited" | "joined" | "left" | "removed";
  since: string;
}

/** Somebody takes part in a conversation or is invited to it, as that is now, or does so no more; numbered from the snapshot on. */
export interface ParticipationChange {
  seq: number;
  participation: Participation | null;
  left: string | null;
}

/** What somebody takes part in or is invited to, the latest first. `more`: and there are earlier ones. */
export interface ParticipationsSnapshot {
  seq: number;
  participations: Participation[];
  more: boolean;
}

/** Show nothing further until it is resumed; nothing of what is said meanwhile is lost. */
export interface PauseControl {
  kind: "pause";
  /** Why, for people to read. */
  reason?: string;
}

/** Begin no further step of a run; what is at work ends and counts. Signals and answers wait, up to their bounds. */
export interface PauseRun {
  run_id: string;
}

/** Keep a trigger from firing, also under later versions, until it is resumed. */
export interface PauseTrigger {
  trigger_id: string;
}

/** Pin a message for everybody in the conversation, or take the pin off. */
export interface PinMessage {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
  pinned?: boolean;
}

/** What a set would do if it were applied now; `digest` tells this plan from any other. */
export interface Plan {
  /** SHA-256 in hexadecimal. */
  digest: string;
  steps: PlannedStep[];
}

/** Say what a set would do now, or be refused as its application would be. Nothing changes. */
export interface PlanChangeSet {
  set_id: string;
}

/** Resources changed since this plan was made: the set would now do something else. */
export interface PlanOutdated {
  type: "/problems/catalog/plan-outdated";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  /** SHA-256 in hexadecimal. */
  digest: string;
}

/** What one change does now. `fields` are those that become other ones, `differences` counts what changes in its draft. `reason`: why a signature by `public_key` is left out. */
export interface PlannedStep {
  action: "activate" | "deactivate" | "put" | "remove" | "sign";
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  effect: "change" | "create" | "delete" | "none";
  environment: string | null;
  previous: number | null;
  number: number | null;
  fields: string[];
  differences: number;
  public_key: string | null;
  reason: string;
}

/** A message at a port. What a schema keeps back is marked as `redacted`, what is too large as `left_out_bytes`. */
export interface PortValue {
  /** Name of a port. */
  port: string;
  /** Any JSON value. */
  value: unknown;
}

/** Say something in a conversation that the caller takes part in. With `client_id` a repeat answers what the first did. */
export interface PostMessage {
  conversation_id: string;
  /** Markdown (CommonMark). */
  text?: string;
  parts?: MessagePart[];
  client_id?: string | null;
  reply_to?: number | null;
  thread?: number | null;
  /** Who is addressed, besides those whom the text names by `@alias`. */
  mentions?: string[];
  /** What else is known of a message, by name: 16 at the most, 2 KiB in all. */
  attributes?: { [name: string]: unknown };
}

/** Where a message stands by now. `repeated`: whether it stood there before. */
export interface Posted {
  conversation_id: string;
  seq: number;
  sent_at: string;
  mentions: string[];
  repeated: boolean;
}

/** What is to be changed has another revision by now than the one that If-Match names. */
export interface PreconditionFailed {
  type: "/problems/precondition-failed";
  /** For people; may change. */
  title: string;
  status: 412;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  expected: number;
  actual: number;
}

/** End it here: what was shown stays, as a message that says so. */
export interface PreemptControl {
  kind: "preempt";
  /** Why, for people to read. */
  reason?: string;
}

/** How somebody is about, until this moment if nothing else is heard. */
export interface Presence {
  principal_id: string;
  state: "away" | "busy" | "offline" | "online";
  until: string;
  /** What somebody is at or looks at, in their own words; it holds as long as the presence. */
  doing: string;
}

/** Somebody is about otherwise, or still; numbered from the subscription on. */
export interface PresenceChange {
  seq: number;
  presence: Presence;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface PresencePage {
  items: Presence[];
  next_cursor: string | null;
}

/** Who of those who share a conversation with somebody is about. `principal_ids`: all of them, of whom more may be told. conversation_ids: those that are looked at: the ones where something happened last. */
export interface PresenceSnapshot {
  seq: number;
  presences: Presence[];
  principal_ids: string[];
  conversation_ids: string[];
}

/** Somebody who acts: a user, an agent or a service. `key` is an agent's short name. */
export interface Principal {
  id: string;
  kind: "agent" | "application" | "service" | "user";
  /** A name for people to read. */
  name: string;
  key: string | null;
}

/** Nobody of this id is active in this org. */
export interface PrincipalNotFound {
  type: "/problems/identity/principal-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  principal_id: string;
}

/** Let it be this urgent, as who speaks is told. */
export interface PriorityControl {
  kind: "priority";
  /** How urgent something is; 0: as everything else. */
  level: number;
  /** Why, for people to read. */
  reason?: string;
}

/** Finish signing in with cookies by a code of the second factor. */
export interface ProveBrowserSession {
  /** An opaque token. */
  ticket: string;
  /** Six digits of the authenticator, or a recovery code. */
  code: string;
}

/** Publish the draft as an immutable version. Unchanged content gives the latest version again. */
export interface PublishVersion {
  resource_id: string;
  changelog?: string;
  revision?: number | null;
}

/** A public key with which a principal signs what it publishes. */
export interface PublisherKey {
  id: string;
  principal_id: string;
  name: string;
  /** An Ed25519 public key, 32 bytes in base64url without padding. */
  public_key: string;
  created_at: string;
  revoked_at: string | null;
}

/** The org has no such key that still counts, or it is somebody else's. */
export interface PublisherKeyNotFound {
  type: "/problems/catalog/publisher-key-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  key_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface PublisherKeyPage {
  items: PublisherKey[];
  next_cursor: string | null;
}

/** The org knows this public key already. */
export interface PublisherKeyTaken {
  type: "/problems/catalog/publisher-key-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Read what one device of the caller missed, in the conversations that it takes part in: the 2,000 where something happened last. Without a cursor, and of conversations that the device does not know yet, it is told how they are. */
export interface PullMissed {
  /** What the last answer gave this device. */
  cursor?: string;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** Replace the draft, with `type` of one of that type alone. `revision` is the one that was read; another one in between is a conflict. */
export interface PutDraft {
  resource_id: string;
  /** Counts the changes of a resource's draft. */
  revision: number;
  /** The resource itself; its shape depends on the type (`Graph`, `Component`). */
  content: { [name: string]: unknown };
  type?: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset" | null;
}

/** Store one part (numbered from 0). The same part again replaces it. */
export interface PutPart {
  upload_id: string;
  number: number;
  content: Blob | ArrayBuffer | Uint8Array | string;
}

/** Read what a run tells of itself: the last value of each name that its `status` steps have told. */
export interface QueryRun {
  run_id: string;
}

/** When somebody is not to be disturbed, by the clock of a place: from `begin` on, until `end` of this day or the next. */
export interface QuietHours {
  /** Hours and minutes, as the clock on the wall shows them. */
  begin: string;
  /** Hours and minutes, as the clock on the wall shows them. */
  end: string;
  /** A time zone of the IANA database. */
  zone?: string;
}

/** A bound and what has been used of it in the present period. `imposed`: by who administers the mesh, not by the org. */
export interface Quota {
  id: string;
  org_id: string;
  subject: Subject;
  /** What is counted: money in millionths of the org's currency, storage in bytes, tokens of models. By now `requests`, `messages`, `runs` and `storage` are; a bound of another meter holds nobody back before its service counts it. A request is a call of an operation by HTTP or a live socket, but for those of identity and of one's own session. A message is what is said by PostMessage, or as a stream. */
  meter: "messages" | "money" | "requests" | "runs" | "storage" | "tokens";
  /** Counted from its beginning in UTC; `total` never begins anew. */
  period: "day" | "hour" | "minute" | "month" | "total";
  most: number;
  imposed: boolean;
  used: number;
  reserved: number;
  resets_at: string | null;
  set_by: string;
  set_at: string;
}

/** The org, or a resource, has as much of this as it may; what is deleted, withdrawn, revoked or expires makes room. */
export interface QuotaExceeded {
  type: "/problems/catalog/quota-exceeded";
  /** For people; may change. */
  title: string;
  status: 429;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  quota: "open_change_sets" | "open_uploads" | "publisher_keys" | "stored_bytes" | "versions";
  limit: number;
  used: number;
}

/** The org has no quota of this id. */
export interface QuotaNotFound {
  type: "/problems/identity/quota-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  quota_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface QuotaPage {
  items: Quota[];
  next_cursor: string | null;
}

/** The file ends before this range begins. */
export interface RangeOutside {
  type: "/problems/catalog/range-outside";
  /** For people; may change. */
  title: string;
  status: 416;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  size: number;
}

/** Answer a message with a sign, or take it back. */
export interface ReactToMessage {
  conversation_id: string;
  /** Number of an entry of the conversation. */
  seq: number;
  /** An emoji or a short word. */
  emoji: string;
  on?: boolean;
}

/** Who has answered a message with this sign, the first one first. */
export interface Reaction {
  /** An emoji or a short word. */
  emoji: string;
  principal_ids: string[];
}

/** How far somebody has read in a conversation, and up to where it has reached one of their devices. */
export interface ReadMark {
  principal_id: string;
  read_seq: number;
  delivered_seq: number;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ReadMarkPage {
  items: ReadMark[];
  next_cursor: string | null;
}

/** Nobody in the org who may take part in conversations has this id. */
export interface RecipientUnknown {
  type: "/problems/messaging/recipient-unknown";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  principal_id: string;
}

/** Codes that stand in for the authenticator, each once. They are shown now and never again. */
export interface RecoveryCodes {
  recovery_codes: string[];
}

/** Trade a refresh token for a new one and a new access token. A used one ends the session. */
export interface Refresh {
  /** An opaque token. */
  refresh_token: string;
}

/** Renew the cookies with the refresh cookie. */
export interface RefreshBrowserSession {
}

/** The refresh token is unknown, expired, or was used before. `raced`: another request renewed the session with it a moment ago, and the session lives on with that one's tokens. */
export interface RefreshRefused {
  type: "/problems/identity/refresh-refused";
  /** For people; may change. */
  title: string;
  status: 401;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  raced: boolean;
}

/** Take a deprecation back. */
export interface Reinstate {
  resource_id: string;
}

/** Take a member out of the org, with its keys and grants. */
export interface RemoveMember {
  principal_id: string;
}

/** Remove somebody from a conversation, or take an invitation or a ban back: what they watch of it ends at once. */
export interface RemoveParticipant {
  conversation_id: string;
  principal_id: string;
}

/** Lift a quota; an imposed one is lifted by who administers the mesh. */
export interface RemoveQuota {
  quota_id: string;
}

/** Remove the caller's second factor with its recovery codes. */
export interface RemoveTotp {
}

/** What was active at that moment was deleted since. */
export interface RemovedSince {
  type: "/problems/catalog/removed-since";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  resource_ids: string[];
}

/** Give the org another name. */
export interface RenameOrg {
  /** A name for people to read, with something to see and no control characters. */
  name: string;
}

/** Give a unit another name. */
export interface RenameUnit {
  unit_id: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
}

/** Say whether owners, admins and whoever else may do more than a member need a second factor to act in the org at all. Only who has one may require it. Those without one are refused from then on, with what tells them, until they sign in with one. */
export interface RequireSecondFactor {
  required: boolean;
}

/** Start a run that does a step of an ended run anew, and all that lies behind it. The graph version, the input and who it acts as are those of the run; the outcomes of all other effects are taken over. Approvals in front of the step are asked for again. Somebody else's run is for that one alone to take over. */
export interface RerunRun {
  run_id: string;
  /** Name of a node, unique in its graph. */
  step: string;
}

/** The link is not valid, or not any more. */
export interface ResetLinkUsed {
  type: "/problems/identity/reset-link-used";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Set a new password with the token of a link, once. Every session of the account ends. */
export interface ResetPassword {
  /** An opaque token. */
  token: string;
  /** At least 10 characters. */
  password: string;
}

/** Read the version that an environment uses: the org's own resource first, then the mesh's public one. With `number` that version, wherever it is active. */
export interface ResolveResource {
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  /** `production`, `staging`, ... */
  environment?: string;
  number?: number | null;
}

/** A named thing with immutable versions. `revision` counts changes of its draft. */
export interface Resource {
  id: string;
  org_id: string;
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  name: string;
  visibility: "org" | "private" | "public";
  /** Counts the changes of a resource's draft. */
  revision: number;
  latest: number | null;
  created_by: string;
  created_at: string;
  updated_at: string;
  tags: string[];
  /** `draft`: nothing is published yet; `deprecated`: nobody should begin to use it. */
  status: "deprecated" | "draft" | "published";
  deprecation: string;
}

/** No resource that the caller may see has this id or key. */
export interface ResourceNotFound {
  type: "/problems/catalog/resource-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  resource: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface ResourcePage {
  items: Resource[];
  next_cursor: string | null;
}

/** Propose a set that leads back to a moment, for owners and admins. Every environment uses again what it used then, and what sets changed since is as they found it. */
export interface RestoreMoment {
  at: string;
  title?: string;
  without_removed?: boolean;
}

/** Let a suspended account sign in again. For administrators of the mesh. */
export interface ResumeAccount {
  account_id: string;
  /** Why; kept in the audit log, where the org reads it. */
  reason: string;
}

/** Let a suspended agent act again, with the credentials that it had. */
export interface ResumeAgent {
  /** Id, key or number of an agent. */
  agent: string;
}

/** Go on where it was paused. */
export interface ResumeControl {
  kind: "resume";
  /** Why, for people to read. */
  reason?: string;
}

/** Let a paused run go on where it was. */
export interface ResumeRun {
  run_id: string;
}

/** Let a paused trigger fire again. What came meanwhile is not made up for. */
export interface ResumeTrigger {
  trigger_id: string;
}

/** Start a run that does once more what failed in a run, or was not reached by it: what succeeded is taken over. */
export interface RetryRun {
  run_id: string;
}

/** Give a claimed conversation back to whom it came from: for whoever claimed it, and for who manages the conversation. One that waits is declined so, by the one whom it names. */
export interface ReturnHandoff {
  handoff_id: string;
  note?: string | null;
}

/** Approve or reject an open set of somebody else. `size`: how many changes were looked at; refused when it holds more by now. */
export interface ReviewChangeSet {
  set_id: string;
  approve: boolean;
  note?: string;
  size?: number | null;
}

/** The draft was changed by somebody else since it was read. */
export interface RevisionConflict {
  type: "/problems/catalog/revision-conflict";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  expected: number;
  actual: number;
}

/** Let a standing approval stand no longer: the caller's, or anybody's for who manages access. */
export interface RevokeApproval {
  approval_id: string;
}

/** End one credential of an agent, and the tokens that the agent has. */
export interface RevokeCredential {
  /** Id, key or number of an agent. */
  agent: string;
  credential_id: string;
}

/** End a key and its tokens: one's own, or anybody's for whoever manages members. */
export interface RevokeKey {
  key_id: string;
}

/** Let a key of one's own, or as an owner or admin any, count no longer; its signatures are told as revoked. */
export interface RevokePublisherKey {
  key_id: string;
}

/** End a token that the caller holds: a refresh token or a user's access token with its session, an agent's, an API key. */
export interface RevokeToken {
  /** A token, as it was given. */
  token: string;
  token_type_hint?: string | null;
}

/** The token is worth nothing any more, if it ever was worth something. */
export interface Revoked {
}

/** Members have this role, or are invited to it. */
export interface RoleInUse {
  type: "/problems/identity/role-in-use";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  role: string;
}

/** The org has no such role, or it is none that can be given or changed. */
export interface RoleNotFound {
  type: "/problems/identity/role-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  role: string;
}

/** The org has a role of this key, or every org has. */
export interface RoleTaken {
  type: "/problems/identity/role-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  role: string;
}

/** Give an agent a new secret, shown this once; those it has hold for the overlap, and no longer than they did. Without an overlap its tokens end, too. */
export interface RotateCredential {
  /** Id, key or number of an agent. */
  agent: string;
  /** Seconds for which the old secret still holds. */
  overlap_s?: number;
}

/** Give a webhook a new token, shown this once; the one that it has holds for the overlap. */
export interface RotateHookToken {
  trigger_id: string;
  /** Seconds for which the old secret still holds. */
  overlap_s?: number;
}

/** Give one's own key a new secret, shown this once; the old one holds for the overlap; without any, its tokens end, too. */
export interface RotateKey {
  key_id: string;
  /** Seconds for which the old secret still holds. */
  overlap_s?: number;
}

/** Give a secret another value; leases from now on are of that one. A sealed one is closed by it. */
export interface RotateSecret {
  secret_id: string;
  /** What is to be kept. */
  value: string;
  passphrase?: string | null;
}

/** Let another agent answer in the conversation from now on. */
export interface RouteControl {
  kind: "route";
  to: string;
  /** Why, for people to read. */
  reason?: string;
}

/** A durable execution of one graph version. `actor_id` is who it acts as, `parent_id` the run that started it. */
export interface Run {
  id: string;
  org_id: string;
  /** Name of a resource, unique per org and type. */
  graph: string;
  /** SHA-256 in hexadecimal. */
  digest: string;
  state: "cancelled" | "failed" | "paused" | "queued" | "recovering" | "running" | "succeeded" | "waiting";
  actor_id: string;
  started_by: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  error: RunError | null;
  tags: string[];
  parent_id: string | null;
  origin: Origin | null;
  trigger: TriggeredBy | null;
}

/** The run has ended; nothing can change it. */
export interface RunEnded {
  type: "/problems/runtime/run-ended";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  state: string;
}

/** Why a run failed: the step and what it said. Or why it was cancelled although nobody asked for it: no step. */
export interface RunError {
  step: string;
  kind: string;
  message: string;
}

/** What the run has done does not hold under the other version; every obstacle is listed. */
export interface RunIncompatible {
  type: "/problems/runtime/run-incompatible";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  faults: Fault[];
}

/** What a follower of a run is told of a line: it has the number of the last transition. A number that is missing among those of the lines was not heard of; ListRunLog has it. */
export interface RunLogChange {
  seq: number;
  log: LogLine;
}

/** No run of the org has this id. */
export interface RunNotFound {
  type: "/problems/runtime/run-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  run_id: string;
}

/** The run has not ended. */
export interface RunOpen {
  type: "/problems/runtime/run-open";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  state: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface RunPage {
  items: Run[];
  next_cursor: string | null;
}

/** A picture: `image/svg+xml`, without scripts and without anything from elsewhere, or `text/vnd.mermaid`. */
export interface RunPicture {
  media_type: "image/svg+xml" | "text/vnd.mermaid";
  content: string;
}

/** How long an org's ended runs are kept; null: without a bound. own_days, own_bytes: what the org itself has said; where it has not, the mesh's settings count. */
export interface RunRetention {
  days: number | null;
  bytes: number | null;
  own_days: number | null;
  own_bytes: number | null;
}

/** A run as it is, or, behind a cursor, what came after it. `seq` is the last transition contained. recovered: whether `transitions` continue the caller's cursor; otherwise it starts from `steps`. */
export interface RunSnapshot {
  run: Run;
  seq: number;
  steps: Step[];
  transitions: Transition[];
  recovered: boolean;
}

/** What a run has told last under a name. */
export interface RunStatus {
  /** Name of a signal, or of what a run tells. */
  name: string;
  /** Any JSON value. */
  value: unknown;
  at: string;
}

/** What a run has told so far, by name. */
export interface RunStatuses {
  run_id: string;
  statuses: RunStatus[];
}

/** A run and its descendants: each generation behind the one before, oldest first; `parent_id` tells where each belongs. complete: whether none was left out for the bounds. */
export interface RunTree {
  runs: Run[];
  complete: boolean;
}

/** Tell those who share a conversation with the caller how it is about. It holds for a minute, so it is told again before that. */
export interface SayPresence {
  state?: "away" | "busy" | "offline" | "online";
  /** What somebody is at or looks at, in their own words; it holds as long as the presence. */
  doing?: string;
}

/** Tell those who follow a conversation that the caller is typing, or is not any more. Told once a second at the most. */
export interface SayTyping {
  conversation_id: string;
  on?: boolean;
}

/** Find messages by words in the conversations that the caller takes part in, or in one that it may see, newest first. What was just said is found within a second or so. A page may hold fewer than `limit`, or nothing, and go on: as long as it has a cursor. */
export interface SearchMessages {
  /** Words that a message holds, or that its words begin with. */
  text: string;
  conversation_id?: string | null;
  sender_id?: string | null;
  since?: string | null;
  until?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** Find resources that the caller may see: every word of `text` begins a word of theirs, the best fit first. */
export interface SearchResources {
  text?: string;
  type?: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset" | null;
  tag?: string | null;
  status?: "deprecated" | "draft" | "published" | null;
  owner?: string | null;
  after?: string | null;
  /** How many items a page holds at the most. */
  limit?: number;
}

/** Whether the caller has a second factor, since when, and how many recovery codes are left. */
export interface SecondFactor {
  since: string | null;
  recovery_codes_left: number;
}

/** Who acts in this role signs in with a second factor, and this session was opened without one. */
export interface SecondFactorMissing {
  type: "/problems/second-factor-missing";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The password fits, and a code of the second factor has to come with this ticket, within five minutes. */
export interface SecondFactorRequired {
  type: "/problems/identity/second-factor-required";
  /** For people; may change. */
  title: string;
  status: 401;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  ticket: string;
}

/** What is known of a secret without its value. `used_by`: the services that may have it; `open_until`: of a sealed one. */
export interface Secret {
  id: string;
  org_id: string;
  /** Short name of a secret, unique in its org, or among those of its owner. */
  name: string;
  /** `org`: used for everybody of the org; `personal`: only for its owner; `sealed`: as that, and only while the owner has opened it with a passphrase. */
  protection: "org" | "personal" | "sealed";
  used_by: string[];
  version: number;
  created_by: string;
  created_at: string;
  rotated_at: string | null;
  open_until: string | null;
  /** Where a secret may be sent; without any to wherever it is used. */
  hosts: string[];
}

/** The secret is sealed, and its owner has not opened it, or not lately. */
export interface SecretClosed {
  type: "/problems/identity/secret-closed";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  secret_id: string;
}

/** There is a secret of this name. */
export interface SecretNameTaken {
  type: "/problems/identity/secret-name-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  name: string;
}

/** No secret of this id is the org's or the caller's. */
export interface SecretNotFound {
  type: "/problems/identity/secret-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  secret_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface SecretPage {
  items: Secret[];
  next_cursor: string | null;
}

/** The secret does not open: its row is not as it was written. */
export interface SecretUnreadable {
  type: "/problems/identity/secret-unreadable";
  /** For people; may change. */
  title: string;
  status: 503;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  secret_id: string;
}

/** A signed-in session: a short-lived access token and the single-use token that renews it. `session_id` is what SessionEnded names; a renewal gives another one after the user's roles have changed. */
export interface Session {
  session_id: string;
  access_token: string;
  refresh_token: string;
  expires_in_s: number;
  me: Me;
}

/** No open session of the caller has this id. */
export interface SessionNotFound {
  type: "/problems/identity/session-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  session_id: string;
}

/** Say what the caller is told of, and how. It replaces what was said before. One notification tells of a conversation, when something of this kind is unread for a while, and no other until it is read. It says how many messages are unread, and nothing of what they say. not_of: conversations to hear nothing of. */
export interface SetNotificationPreferences {
  about?: ("direct" | "everything" | "mentions" | "replies")[];
  mail?: boolean;
  hook?: NotificationHook | null;
  quiet?: QuietHours | null;
  /** Conversations to hear nothing of. */
  not_of?: string[];
}

/** Bound what a subject may use of something in a period, or change that bound; what was used stays counted. Only who administers the mesh imposes quotas; of those that apply the tightest counts. */
export interface SetQuota {
  subject: Subject;
  /** What is counted: money in millionths of the org's currency, storage in bytes, tokens of models. By now `requests`, `messages`, `runs` and `storage` are; a bound of another meter holds nobody back before its service counts it. A request is a call of an operation by HTTP or a live socket, but for those of identity and of one's own session. A message is what is said by PostMessage, or as a stream. */
  meter: "messages" | "money" | "requests" | "runs" | "storage" | "tokens";
  /** Counted from its beginning in UTC; `total` never begins anew. */
  period: "day" | "hour" | "minute" | "month" | "total";
  most: number;
  imposed?: boolean;
}

/** Say how long the org's ended runs are kept, instead of the mesh's settings; null: as these say. Beyond either bound the oldest go first, each with its steps, journal and payloads. */
export interface SetRunRetention {
  days?: number | null;
  bytes?: number | null;
}

/** Read what is asked by a link; that does not use it up. */
export interface ShowAskLink {
  /** An opaque token. */
  token: string;
}

/** Open a session with e-mail and password, in one of the user's orgs. */
export interface SignIn {
  /** The e-mail address of an account. */
  email: string;
  password: string;
  org_id?: string | null;
}

/** Give an agent or a service an access token for its client credentials. */
export interface SignInClient {
  client_id: string;
  client_secret: string;
}

/** Open the session that a sign-in with a password prepared, with a code or a recovery code. */
export interface SignInSecondFactor {
  /** An opaque token. */
  ticket: string;
  /** Six digits of the authenticator, or a recovery code. */
  code: string;
}

/** End the caller's session: its tokens are refused everywhere. */
export interface SignOut {
}

/** Create an account, with an org of its own or in the org that an invitation names. `confirmation`: the token of the link that AskToSignUp had mailed; needed on a mesh that sends mails. */
export interface SignUp {
  /** An e-mail address. */
  email: string;
  /** At least 10 characters. */
  password: string;
  /** A name for people to read, with something to see and no control characters. */
  name: string;
  org_name?: string | null;
  invitation?: string | null;
  confirmation?: string | null;
}

/** New accounts need an invitation here, or cannot be made at all. */
export interface SignUpClosed {
  type: "/problems/identity/sign-up-closed";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Vouch for a version of the org with a key of one's own. Signed is the canonical JSON (RFC 8785) `{"digest":"...","key":"...","polis":"version","type":"..."}` of the version. */
export interface SignVersion {
  resource_id: string;
  /** Number or SHA-256 of a version. */
  version: string;
  key_id: string;
  /** An Ed25519 signature, 64 bytes in base64url without padding. */
  signature: string;
}

/** Give a run a signal: to the step that waits for its name, else it waits for one, in order and up to a bound. */
export interface SignalRun {
  run_id: string;
  /** Name of a signal, or of what a run tells. */
  name: string;
  /** Any JSON value. */
  payload?: unknown;
}

/** What became of a signal: a step took it, or it waits for one. `queued`: how many of the run wait by then. */
export interface Signalled {
  taken: boolean;
  queued: number;
}

/** A signature of a version's type, key and digest; `revoked_at` when its key counts no longer. */
export interface Signature {
  resource_id: string;
  /** Counts a resource's versions from 1. */
  number: number;
  key_id: string;
  principal_id: string;
  /** An Ed25519 public key, 32 bytes in base64url without padding. */
  public_key: string;
  /** An Ed25519 signature, 64 bytes in base64url without padding. */
  signature: string;
  signed_at: string;
  revoked_at: string | null;
}

/** The signature is not one of these bytes by this key. */
export interface SignatureInvalid {
  type: "/problems/catalog/signature-invalid";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface SignaturePage {
  items: Signature[];
  next_cursor: string | null;
}

/** The cursor is not one that this list gave out, or no longer holds. */
export interface StaleCursor {
  type: "/problems/stale-cursor";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** An approval that was given for always: asks of this graph or agent, verb and subject are approved as they open. It counts where the ask is addressed to `to`, by which its giver answered, and until the giver's place in the org changes. */
export interface StandingApproval {
  id: string;
  org_id: string;
  verb: string;
  /** `*` stands for any characters of one part, `**` at the end for all further parts. */
  subject: string;
  to: Addressee;
  given_by: string;
  given_at: string;
  graph: string | null;
  agent_id: string | null;
  expires_at: string | null;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface StandingApprovalPage {
  items: StandingApproval[];
  next_cursor: string | null;
}

/** Start a run of the version of a graph that is active, as the caller or as an agent of the org. What the graph's components need, the caller must hold as well. As an agent: who may manage agents, whoever made it, and whom a grant of `runtime:run` on `agent/<key>` says so. */
export interface StartRun {
  /** Name of a resource, unique per org and type. */
  graph: string;
  /** Values by the names of the graph's inputs. */
  input?: { [name: string]: unknown };
  agent?: string | null;
  /** `production`, `staging`, ... */
  environment?: string;
  tags?: string[];
  timeout_s?: number | null;
}

/** Start a run of one graph for each input: all that fit in one commit, and each of the others says what is wrong. */
export interface StartRuns {
  /** Name of a resource, unique per org and type. */
  graph: string;
  inputs: { [name: string]: unknown }[];
  agent?: string | null;
  /** `production`, `staging`, ... */
  environment?: string;
  tags?: string[];
  timeout_s?: number | null;
}

/** What a node of the graph has done in a run so far. Times are milliseconds since the run was created. A node of a graph in the graph is one step, behind the node that runs it, with all that it has done in all its turns. done, total: how far it says that it is, in a unit of its own. model: the steps with a model's results that what it gave was made of; approved: those of which people have approved of all that was. */
export interface Step {
  /** Name of a node, behind those of the nodes that run the graph that it is in; `/@undo`: what undoes it. */
  node: string;
  component: string;
  title: string;
  activity: "error" | "idle" | "thinking" | "typing";
  state: "cancelled" | "failed" | "pending" | "retrying" | "running" | "skipped" | "succeeded" | "waiting";
  received: number;
  emitted: number;
  attempts: number;
  started_ms: number | null;
  ended_ms: number | null;
  error: string | null;
  done: number | null;
  total: number | null;
  model: string[];
  approved: string[];
}

/** The run's graph has no such step. */
export interface StepUnknown {
  type: "/problems/runtime/step-unknown";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  step: string;
}

/** A person has to prove again who they are: their last proof is older than this operation allows. */
export interface StepUpRequired {
  type: "/problems/step-up-required";
  /** For people; may change. */
  title: string;
  status: 403;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  max_age_s: number;
}

/** What a follower of a conversation is told of a stream: a further piece of its text, or what has become of it. Never kept. at: where the piece begins. Who has less than that has missed something: GetStream tells it. Who has more has heard it. message_seq: the message that it has become, which the entry of its posting holds. */
export interface StreamChange {
  stream_id: string;
  producer_id: string;
  /** Characters of a stream. */
  at: number;
  text: string;
  /** It goes on; it waits; it is said to its end; it broke off; it was ended by somebody; its run was, too. */
  state: "cancelled" | "complete" | "open" | "partial" | "paused" | "preempted";
  reply_to: number | null;
  message_seq: number | null;
}

/** Fewer characters of the stream were taken than were said: they are said again from `at` on. */
export interface StreamIncomplete {
  type: "/problems/messaging/stream-incomplete";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  stream_id: string;
  at: number;
}

/** There is no such stream that the caller may see, or it ended long ago. */
export interface StreamNotFound {
  type: "/problems/messaging/stream-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  stream_id: string;
}

/** The stream is paused: it ends when it was resumed, or by being abandoned. */
export interface StreamPaused {
  type: "/problems/messaging/stream-paused";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  stream_id: string;
}

/** What has become of a stream, for who speaks in it: while it is `open` go on, while it is `paused` wait, else stop. at: characters that were taken: say on from there, and again what was said behind it. shown: how many of them readers see. lease_s: it is taken to be lost when nothing is heard of it for so long. message_seq: the message that it has become. */
export interface StreamStatus {
  stream_id: string;
  /** It goes on; it waits; it is said to its end; it broke off; it was ended by somebody; its run was, too. */
  state: "cancelled" | "complete" | "open" | "partial" | "paused" | "preempted";
  /** Characters of a stream. */
  at: number;
  /** Characters of a stream. */
  shown: number;
  lease_s: number;
  /** How urgent something is; 0: as everything else. */
  priority: number;
  message_seq: number | null;
}

/** How a message came about that was shown while it was said: its stream, how that ended, after how many characters, and why. */
export interface Streamed {
  id: string;
  state: "cancelled" | "complete" | "partial" | "preempted";
  characters: number;
  reason: string;
  by: string | null;
}

/** Whose use is counted: `id` names a unit, a principal or a key, and is absent for the org. */
export interface Subject {
  /** The org, a unit with its parts, a user or agent, or an API key. */
  kind: "key" | "org" | "principal" | "unit";
  id?: string | null;
}

/** The org has no such unit, principal or key. */
export interface SubjectNotFound {
  type: "/problems/identity/subject-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  subject: Subject;
}

/** Suspend an account: its sessions end and it cannot sign in. For administrators of the mesh. */
export interface SuspendAccount {
  account_id: string;
  /** Why; kept in the audit log, where the org reads it. */
  reason: string;
}

/** Keep an agent from acting: its tokens end, and its credentials and keys give none until it is resumed. */
export interface SuspendAgent {
  /** Id, key or number of an agent. */
  agent: string;
}

/** Get an access token of the same session for another org of the caller. */
export interface SwitchOrg {
  org_id: string;
}

/** Take a grant back. */
export interface TakeGrant {
  grant_id: string;
}

/** Tell that something has happened outside: it becomes the event `runtime.event_told`. Triggers can follow it, and whoever follows the topic `org` and may read runs is told it. */
export interface TellEvent {
  /** What has happened. */
  type: string;
  data?: { [name: string]: unknown };
  agent?: string | null;
}

/** The steps of a run in topological order, and the attempts of its steps; those of the last tenth of a second may come later. Functions that only compute have none of their own, unless the graph records all. */
export interface Timeline {
  run: Run;
  steps: Step[];
  attempts: AttemptsOfStep[];
}

/** An event that was taken in. */
export interface ToldEvent {
  id: string;
}

/** The body is larger than this operation takes. */
export interface TooLarge {
  type: "/problems/too-large";
  /** For people; may change. */
  title: string;
  status: 413;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  max_bytes: number;
}

/** The org has as many standing approvals as it may have. */
export interface TooManyApprovals {
  type: "/problems/runtime/too-many-approvals";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The caller has as many links to this ask as one may have at a time. */
export interface TooManyAskLinks {
  type: "/problems/runtime/too-many-ask-links";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The run has as many children as a run may have, or as many above it. */
export interface TooManyChildren {
  type: "/problems/runtime/too-many-children";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
  depth: number;
}

/** The agent has as many credentials as it may have; one has to be revoked first. */
export interface TooManyCredentials {
  type: "/problems/identity/too-many-credentials";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The holder has as many grants as it may have. */
export interface TooManyGrants {
  type: "/problems/identity/too-many-grants";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The principal has as many keys as it may have; one has to be revoked first. */
export interface TooManyKeys {
  type: "/problems/identity/too-many-keys";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The org has as many roles of its own as it may have. */
export interface TooManyRoles {
  type: "/problems/identity/too-many-roles";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The org has as many secrets as it may have. */
export interface TooManySecrets {
  type: "/problems/identity/too-many-secrets";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  most: number;
}

/** The account has a second factor; it has to be removed before another one is set up. */
export interface TotpActive {
  type: "/problems/identity/totp-active";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The account has no second factor, or none that waits for its first code. */
export interface TotpNotFound {
  type: "/problems/identity/totp-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Give an agent, an application or a service an access token for its client credentials, narrowed to `scope`. */
export interface TradeCredentials {
  grant_type: "client_credentials";
  client_id: string;
  client_secret: string;
  scope?: string | null;
}

/** One change in a run, numbered from 1 without gaps: a step's new facts, or the run's own when `step` is absent. */
export interface Transition {
  seq: number;
  /** Milliseconds. */
  at_ms: number;
  state: string;
  step: Step | null;
  error: RunError | null;
}

/** A trigger of a graph's version in an environment. Its id stays the same from version to version. next_at: when it fires next by its schedule, or its debounced event does. fired, refused, skipped: how often it started a run, could not, and was not to (missed slots, throttled events). acts_as: the agent that its runs act as, if one is named. hook: the address of a webhook; has_token: whether it has a token that posts can carry. */
export interface Trigger {
  id: string;
  org_id: string;
  resource_id: string;
  /** Name of a resource, unique per org and type. */
  graph: string;
  /** `production`, `staging`, ... */
  environment: string;
  /** Counts a resource's versions from 1. */
  number: number;
  /** Name of a trigger, unique in its graph. */
  name: string;
  kind: "event" | "manual" | "message" | "run_end" | "schedule" | "webhook";
  /** The trigger as the graph names it (`TriggerSpec`). */
  spec: { [name: string]: unknown };
  activated_by: string;
  created_at: string;
  acts_as: string | null;
  ended_at: string | null;
  paused_at: string | null;
  paused_by: string | null;
  next_at: string | null;
  fired_at: string | null;
  last_run_id: string | null;
  last_occurrence: string | null;
  error: WhyNot | null;
  fired: number;
  refused: number;
  skipped: number;
  hook: string | null;
  has_token: boolean;
}

/** No trigger of the org has this id. */
export interface TriggerNotFound {
  type: "/problems/runtime/trigger-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  trigger_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface TriggerPage {
  items: Trigger[];
  next_cursor: string | null;
}

/** The trigger that started a run, and what for: a slot, the id of an event or of a post. */
export interface TriggeredBy {
  id: string;
  occurrence: string;
}

/** What an agent said of a message: that it would answer, or defers. expired: it was to answer and did not. */
export interface TurnClaim {
  principal_id: string;
  claims: boolean;
  /** How well the caller would answer, by its own account. */
  confidence: number;
  /** Why the caller would answer, or leaves it to others. */
  justification: string;
  at: string;
  expired: boolean;
}

/** No agent has claimed or deferred this message. */
export interface TurnNotFound {
  type: "/problems/messaging/turn-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  message_seq: number;
}

/** Somebody is typing, until this moment if nothing else is heard. */
export interface Typing {
  principal_id: string;
  until: string;
}

/** Credentials are missing, expired, revoked or not valid. */
export interface Unauthenticated {
  type: "/problems/unauthenticated";
  /** For people; may change. */
  title: string;
  status: 401;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** Something that is needed for this does not answer now. */
export interface Unavailable {
  type: "/problems/unavailable";
  /** For people; may change. */
  title: string;
  status: 503;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  dependency: string;
  retry_after_s: number;
}

/** Make everything that an applied set changed as it was before, or nothing of it. */
export interface UndoChangeSet {
  set_id: string;
}

/** A part of an org, by its key. */
export interface Unit {
  id: string;
  org_id: string;
  /** An application is the org's or a project's, a service the org's or any other unit's. */
  kind: "application" | "project" | "service";
  /** Short name, unique among its kind in the org. */
  key: string;
  /** A name for people to read. */
  name: string;
  parent_id: string | null;
  created_by: string;
  created_at: string;
}

/** The unit has parts, agents or keys; they have to go first. */
export interface UnitInUse {
  type: "/problems/identity/unit-in-use";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  unit_id: string;
}

/** A unit of this org has this key. */
export interface UnitKeyTaken {
  type: "/problems/identity/unit-key-taken";
  /** For people; may change. */
  title: string;
  status: 409;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  key: string;
}

/** A unit of this kind cannot be a part of one of that kind. */
export interface UnitMisplaced {
  type: "/problems/identity/unit-misplaced";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  kind: string;
  parent: string;
}

/** No unit of this org has this id. */
export interface UnitNotFound {
  type: "/problems/identity/unit-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  unit_id: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface UnitPage {
  items: Unit[];
  next_cursor: string | null;
}

/** Tokens are given for client credentials alone. */
export interface UnsupportedGrantType {
  type: "/problems/identity/unsupported-grant-type";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  error: "unsupported_grant_type";
  error_description: string;
}

/** The body is of a media type that this operation does not take. */
export interface UnsupportedMedia {
  type: "/problems/unsupported-media";
  /** For people; may change. */
  title: string;
  status: 415;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  accepted: string;
}

/** Tokens that somebody acts with for somebody else cannot be revoked; they end within minutes. */
export interface UnsupportedTokenType {
  type: "/problems/identity/unsupported-token-type";
  /** For people; may change. */
  title: string;
  status: 400;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  error: "unsupported_token_type";
  error_description: string;
}

/** Give an agent another name, unit or limit; what is left out stays. Its tokens end when it may do less. */
export interface UpdateAgent {
  /** Id, key or number of an agent. */
  agent: string;
  name?: string | null;
  unit_id?: string | null;
  scopes?: string[] | null;
}

/** Change the name or the scopes of a role of the org's own. Members' tokens end when it may do less. */
export interface UpdateRole {
  /** `owner`, `admin`, `member`, `viewer`, or a role of the org's own. */
  role: string;
  name?: string | null;
  scopes?: string[] | null;
}

/** Rename a secret, or say anew which services get it (none, if `used_by` is empty) and for which hosts. What is left out stays. An org's secret is changed by who made it and by who manages the org's members; any other by its owner. */
export interface UpdateSecret {
  secret_id: string;
  name?: string | null;
  used_by?: string[] | null;
  hosts?: string[] | null;
}

/** An artifact on its way: put its parts, then complete it. */
export interface Upload {
  id: string;
  part_bytes: number;
  expires_at: string;
}

/** Store the body as a file in one request; it is streamed, never held whole. */
export interface UploadArtifact {
  /** Name of a file without a path, with something to see and no control characters. */
  name: string;
  content: Blob | ArrayBuffer | Uint8Array | string;
  /** RFC 6838, without parameters. */
  media_type?: string;
  sha256?: string | null;
}

/** Parts are missing, or their size or SHA-256 is not what was announced. */
export interface UploadIncomplete {
  type: "/problems/catalog/upload-incomplete";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  reason: string;
}

/** No open upload of the caller has this id. */
export interface UploadNotFound {
  type: "/problems/catalog/upload-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  upload_id: string;
}

/** How far an upload has come: how many parts it has, and the first of those that are not there yet. */
export interface UploadState {
  id: string;
  size: number;
  part_bytes: number;
  parts: number;
  missing: number[];
  expires_at: string;
}

/** Verify the org's audit log, a bounded part at a time, and name the first record that is not as it was written. `noted_n` and `noted_hash`: a record noted down earlier, which must still be there; so a log cut at its end is found. */
export interface VerifyAudit {
  after?: number | null;
  noted_n?: number | null;
  noted_hash?: string | null;
}

/** An immutable snapshot, addressed by the SHA-256 of its canonical JSON (RFC 8785). */
export interface Version {
  resource_id: string;
  type: "assistant" | "component" | "context" | "executor" | "graph" | "integration" | "place" | "policy" | "ruleset";
  /** Name of a resource, unique per org and type. */
  key: string;
  /** Counts a resource's versions from 1. */
  number: number;
  /** SHA-256 in hexadecimal. */
  digest: string;
  /** The resource itself; its shape depends on the type (`Graph`, `Component`). */
  content: { [name: string]: unknown };
  changelog: string;
  published_by: string;
  published_at: string;
}

/** The resource has no such version. */
export interface VersionNotFound {
  type: "/problems/catalog/version-not-found";
  /** For people; may change. */
  title: string;
  status: 404;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
  version: string;
}

/** A version without its content. */
export interface VersionSummary {
  resource_id: string;
  /** Counts a resource's versions from 1. */
  number: number;
  /** SHA-256 in hexadecimal. */
  digest: string;
  changelog: string;
  published_by: string;
  published_at: string;
}

/** One page of a list, and where the next one starts (absent on the last). */
export interface VersionSummaryPage {
  items: VersionSummary[];
  next_cursor: string | null;
}

/** Read a conversation with its newest messages, or what came after an entry: the authorised start of a live subscription. */
export interface WatchConversation {
  conversation_id: string;
  after?: number | null;
}

/** Read which conversations the caller takes part in or is invited to, the 1,000 latest: the authorised start of following that. */
export interface WatchParticipations {
}

/** Read who of those in the caller's latest conversations is about: the authorised start of following that. */
export interface WatchPresence {
}

/** Read a run with its steps, or what came after a transition: the authorised start of a live subscription. */
export interface WatchRun {
  run_id: string;
  after?: number | null;
}

/** A grant of the principal and what it is worth for the question. */
export interface Weighed {
  grant: Grant;
  weight: "approval" | "counts" | "data_class" | "expired" | "other_holder" | "other_resource" | "other_verb";
}

/** Why a trigger did not start a run: the problem's type or a word of its own, what it said, and when. */
export interface WhyNot {
  kind: string;
  message: string;
  at: string;
}

/** Let an approved grant wait for approval again, whoever approved it. */
export interface WithdrawApproval {
  grant_id: string;
}

/** Drop a set that was not applied: one's own, or any as an owner or admin. */
export interface WithdrawChangeSet {
  set_id: string;
}

/** Take an open invitation back. */
export interface WithdrawInvitation {
  invitation_id: string;
}

/** The name and the secret do not fit together. */
export interface WrongCredentials {
  type: "/problems/identity/wrong-credentials";
  /** For people; may change. */
  title: string;
  status: 401;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The passphrase is not the one that the secret was sealed with. */
export interface WrongPassphrase {
  type: "/problems/identity/wrong-passphrase";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

/** The password or the code does not fit. */
export interface WrongProof {
  type: "/problems/identity/wrong-proof";
  /** For people; may change. */
  title: string;
  status: 422;
  /** For people; may change. */
  detail?: string;
  /** The trace id. */
  instance?: string;
}

export interface Operations {
  /** Say no more: what is shown stays as a partial message; where nothing is, nothing stays. */
  AbandonStream: { request: AbandonStream; answer: StreamStatus };
  /** Join the org that an invitation for the caller's e-mail address names; SwitchOrg leads there. */
  AcceptInvitation: { request: AcceptInvitation; answer: Membership };
  /** Make an environment use a version. */
  Activate: { request: Activate; answer: Activation };
  /** Add changes to an open set of one's own. */
  AddChanges: { request: AddChanges; answer: ChangeSet };
  /** Add somebody of the org to a conversation, or invite them to come in by themselves: for its owners and admins. */
  AddParticipant: { request: AddParticipant; answer: Participant };
  /** Make a public key known as one's own. */
  AddPublisherKey: { request: AddPublisherKey; answer: PublisherKey };
  /** Tell something to all who follow the live topic `org` at this moment and may read messages, except for some principals. */
  Announce: { request: Announce; answer: Announcement };
  /** Answer an ask: its run goes on with that, or, for a vote, when enough have voted. */
  AnswerAsk: { request: AnswerAsk; answer: Ask };
  /** Answer an ask by a link, which it uses up. */
  AnswerAskLink: { request: AnswerAskLink; answer: Ask };
  /** Make all changes of a set, or none. */
  ApplyChangeSet: { request: ApplyChangeSet; answer: ChangeSet };
  /** Make an active account another administrator of the mesh. */
  AppointAdministrator: { request: AppointAdministrator; answer: Account };
  /** Make a grant count that waits for approval: in person, by who could have given it but did not, and does not hold it. */
  ApproveGrant: { request: ApproveGrant; answer: Grant };
  /** Mail the link that SignUp goes on with to this address, or that there is an account. */
  AskToSignUp: { request: AskToSignUp; answer: null };
  /** Remove somebody and let nobody bring them back until they are removed from the banned. */
  BanParticipant: { request: BanParticipant; answer: Participant };
  /** Begin to say something in a conversation that the caller takes part in; a repeat with its `client_id` answers what has become of it. */
  BeginStream: { request: BeginStream; answer: StreamStatus };
  /** Post to a webhook: signed by Standard Webhooks (webhook-id, -timestamp, -signature), or with its token in X-Hook-Token. */
  CallHook: { request: CallHook; answer: Hooked };
  /** Ask nobody any more to take a conversation over: for who may hand it over. */
  CancelHandoff: { request: CancelHandoff; answer: Handoff };
  /** End a run now: nothing that it does takes effect any more. */
  CancelRun: { request: CancelRun; answer: Run };
  /** Give an open upload up: its parts are removed, and its room is free again. */
  CancelUpload: { request: CancelUpload; answer: null };
  /** Say who sees a file of the org: its creator, owners and admins may. */
  ChangeArtifact: { request: ChangeArtifact; answer: Artifact };
  /** Rename a conversation, say what it is about, who sees it, how sensitive it is and how long it is kept; archive it or open it again. */
  ChangeConversation: { request: ChangeConversation; answer: Conversation };
  /** Give somebody another role, or let them say nothing for a while; a moment that has passed lets them speak again. */
  ChangeParticipant: { request: ChangeParticipant; answer: Participant };
  /** Change the caller's password. */
  ChangePassword: { request: ChangePassword; answer: null };
  /** Change what is said of a resource; what is absent stays. */
  ChangeResource: { request: ChangeResource; answer: Resource };
  /** Give a member another role. */
  ChangeRole: { request: ChangeRole; answer: Member };
  /** Create the first administrator with the one-time link of the first start. */
  ClaimAdministrator: { request: ClaimAdministrator; answer: Session };
  /** Take a conversation over, as one of those whom it is handed to: the caller comes in and is responsible for it from now on. */
  ClaimHandoff: { request: ClaimHandoff; answer: Handoff };
  /** Claim jobs of components, those that wait the longest first. */
  ClaimJobs: { request: ClaimJobs; answer: Jobs };
  /** Claim to answer a message, as an agent: the answer comes when it is decided who does, within the window that the first claim opened. */
  ClaimTurn: { request: ClaimTurn; answer: AnswerTurn };
  /** Sign out and drop the cookies. */
  CloseBrowserSession: { request: CloseBrowserSession; answer: null };
  /** Close the caller's own sealed secret before its time. */
  CloseSecret: { request: CloseSecret; answer: Secret };
  /** Compare a version with another one of its resource, `base`; by default the one before it. */
  CompareVersions: { request: CompareVersions; answer: Comparison };
  /** Bring the outcome of a job: the messages that it emits, in their order. */
  CompleteJob: { request: CompleteJob; answer: null };
  /** Check size and SHA-256 of the parts and make them an artifact. */
  CompleteUpload: { request: CompleteUpload; answer: Artifact };
  /** Prove again who one is: the cookies open sensitive operations for some minutes. */
  ConfirmBrowserSession: { request: ConfirmBrowserSession; answer: BrowserSession };
  /** Prove again who one is, with the password or, where there is a second factor, with a code. */
  ConfirmIdentity: { request: ConfirmIdentity; answer: AccessToken };
  /** Finish setting up a second factor with its first code. */
  ConfirmTotp: { request: ConfirmTotp; answer: RecoveryCodes };
  /** Say on, from `at`. */
  ContinueStream: { request: ContinueStream; answer: StreamStatus };
  /** Pause, resume or end what is being said in a conversation, or give it to somebody else. */
  ControlConversation: { request: ControlConversation; answer: ControlAnswer };
  /** Create an agent in the org; its secret is shown this once. */
  CreateAgent: { request: CreateAgent; answer: AgentCredential };
  /** Make a link by which the caller answers an ask once, without a session. */
  CreateAskLink: { request: CreateAskLink; answer: AskLink };
  /** Propose changes of several resources. */
  CreateChangeSet: { request: CreateChangeSet; answer: ChangeSet };
  /** Begin a group, a channel or a conversation of agents; the caller owns it. */
  CreateConversation: { request: CreateConversation; answer: Conversation };
  /** Create a key for the caller, with scopes that the caller holds; the secret is shown this once. */
  CreateKey: { request: CreateKey; answer: NewKey };
  /** Create an org; the caller, a user, is its owner. */
  CreateOrg: { request: CreateOrg; answer: Org };
  /** Create a resource with a first draft. */
  CreateResource: { request: CreateResource; answer: Resource };
  /** Create a role of the org's own, with scopes that the caller holds. */
  CreateRole: { request: CreateRole; answer: OrgRole };
  /** Keep a secret. */
  CreateSecret: { request: CreateSecret; answer: Secret };
  /** Create a project, an application or a service of the org. */
  CreateUnit: { request: CreateUnit; answer: Unit };
  /** Announce a file; its parts follow one by one and may be repeated. */
  CreateUpload: { request: CreateUpload; answer: Upload };
  /** Give an administrator of the mesh an access token in any org. */
  CrossOrg: { request: CrossOrg; answer: AccessToken };
  /** Make an environment use no version. */
  Deactivate: { request: Deactivate; answer: null };
  /** Leave a message to others, as an agent, and say why. */
  DeferTurn: { request: DeferTurn; answer: AnswerTurn };
  /** Hand an ask on: who is addressed by name is replaced; to those of a role or a grant another one is added. */
  DelegateAsk: { request: DelegateAsk; answer: Ask };
  /** Delete an agent: its credentials end and its runs are cancelled. */
  DeleteAgent: { request: DeleteAgent; answer: null };
  /** Delete a file. */
  DeleteArtifact: { request: DeleteArtifact; answer: null };
  /** Delete what the caller has said, or, as an owner or admin of the conversation, what anybody has. */
  DeleteMessage: { request: DeleteMessage; answer: null };
  /** Delete a resource with its versions, with `type` one of that type alone. */
  DeleteResource: { request: DeleteResource; answer: null };
  /** Delete a role that nobody has and nobody is invited to, with its grants. */
  DeleteRole: { request: DeleteRole; answer: null };
  /** Delete a run that has ended, with all that is kept of it: for whoever started it, and who manages runs. */
  DeleteRun: { request: DeleteRun; answer: null };
  /** Delete a secret. */
  DeleteSecret: { request: DeleteSecret; answer: null };
  /** Delete a unit that nothing is in, with the grants and quotas that are bound to it. */
  DeleteUnit: { request: DeleteUnit; answer: null };
  /** Say that nobody should begin to use a resource, and what to use instead. */
  Deprecate: { request: Deprecate; answer: Resource };
  /** Make an administrator of the mesh none; its sessions end. */
  DismissAdministrator: { request: DismissAdministrator; answer: null };
  /** Draw a run as GetRunPicture does, and answer with the image (`image/svg+xml`) or text (`text/vnd.mermaid`) itself. */
  DrawRun: { request: DrawRun; answer: Uint8Array };
  /** Forget what the caller was about to say. */
  DropMessageDraft: { request: DropMessageDraft; answer: null };
  /** Say otherwise what the caller has said; what it said before is kept. */
  EditMessage: { request: EditMessage; answer: Message };
  /** End every session of the caller but the one that asks. */
  EndOtherSessions: { request: EndOtherSessions; answer: null };
  /** End one of the caller's sessions: its tokens are refused everywhere. */
  EndSession: { request: EndSession; answer: null };
  /** Let what was said be a message of the conversation. */
  EndStream: { request: EndStream; answer: StreamStatus };
  /** Begin to set up a second factor. */
  EnrolTotp: { request: EnrolTotp; answer: NewTotp };
  /** Tell whether the caller may do something to a resource, and why; or somebody else, for who manages access. */
  ExplainAccess: { request: ExplainAccess; answer: Explanation };
  /** Say that a job has failed. */
  FailJob: { request: FailJob; answer: null };
  /** Start what a trigger of any kind starts, now and as the caller, or as the trigger's agent if the caller may. */
  FireTrigger: { request: FireTrigger; answer: Run };
  /** Send a link that resets the password to this address, if an account has it. */
  ForgotPassword: { request: ForgotPassword; answer: null };
  /** Start a run of the same graph version with other input: what is not given here is as in the run. */
  ForkRun: { request: ForkRun; answer: Run };
  /** Read an agent by its id, key or number. */
  GetAgent: { request: GetAgent; answer: Agent };
  /** Read what is known of a file. */
  GetArtifact: { request: GetArtifact; answer: Artifact };
  /** Read what is asked, of whoever may answer it. */
  GetAsk: { request: GetAsk; answer: AskSheet };
  /** Read the session of the browser's cookies, with the CSRF token that a page needs after it was loaded. */
  GetBrowserSession: { request: GetBrowserSession; answer: BrowserSession };
  /** Read a change set without its changes. */
  GetChangeSet: { request: GetChangeSet; answer: ChangeSet };
  /** Read one conversation. */
  GetConversation: { request: GetConversation; answer: Conversation };
  /** Read the draft of a resource of the org; with `type`, of one of that type alone. */
  GetDraft: { request: GetDraft; answer: Draft };
  /** Read one handoff: of a conversation that the caller sees, or one that it may claim. */
  GetHandoff: { request: GetHandoff; answer: Handoff };
  /** Read the keys that verify access tokens. */
  GetJwks: { request: GetJwks; answer: Jwks };
  /** Read a key; its secret is not known. */
  GetKey: { request: GetKey; answer: ApiKey };
  /** Read who the caller is and what it may do. */
  GetMe: { request: GetMe; answer: Me };
  /** Read one message. */
  GetMessage: { request: GetMessage; answer: Message };
  /** Read what the caller is about to say. */
  GetMessageDraft: { request: GetMessageDraft; answer: MessageDraft };
  /** Read what the caller is told of, and how; without any, nothing. */
  GetNotificationPreferences: { request: GetNotificationPreferences; answer: NotificationPreferences };
  /** Read the org that the caller is in, and its settings. */
  GetOrg: { request: GetOrg; answer: OrgSettings };
  /** Read what a run gave. */
  GetOutput: { request: GetOutput; answer: Output };
  /** Read one resource. */
  GetResource: { request: GetResource; answer: Resource };
  /** Read one run. */
  GetRun: { request: GetRun; answer: Run };
  /** Draw the graph that a run executes, with what has become of each step so far. */
  GetRunPicture: { request: GetRunPicture; answer: RunPicture };
  /** Read how long the org's runs are kept. */
  GetRunRetention: { request: GetRunRetention; answer: RunRetention };
  /** Read a run with the runs that it started, and what those started, as far as the bounds go. */
  GetRunTree: { request: GetRunTree; answer: RunTree };
  /** Read whether the caller has a second factor. */
  GetSecondFactor: { request: GetSecondFactor; answer: SecondFactor };
  /** Read what is known of a secret without its value. */
  GetSecret: { request: GetSecret; answer: Secret };
  /** Read what is shown of a stream by now, from `at` on. */
  GetStream: { request: GetStream; answer: MessageStream };
  /** Read what each step of a run did and when. */
  GetTimeline: { request: GetTimeline; answer: Timeline };
  /** Read a trigger: when it last fired and why not, and when it is due. */
  GetTrigger: { request: GetTrigger; answer: Trigger };
  /** Read who claimed to answer a message, who deferred and why, and who answers. */
  GetTurn: { request: GetTurn; answer: AnswerTurn };
  /** Read a unit. */
  GetUnit: { request: GetUnit; answer: Unit };
  /** Read which parts of an open upload are missing, to go on with one that was interrupted: the first 200 of them. */
  GetUpload: { request: GetUpload; answer: UploadState };
  /** Read a version by number or SHA-256. */
  GetVersion: { request: GetVersion; answer: Version };
  /** Let a holder do something that the caller's role may do to resources of a pattern, under conditions. */
  GiveGrant: { request: GiveGrant; answer: Grant };
  /** Ask somebody to take a conversation over; until they do, who is responsible stays so. */
  HandOff: { request: HandOff; answer: Handoff };
  /** Say that a job is still being done: it stays its claimer's for another `lease_s`. */
  HeartbeatJob: { request: HeartbeatJob; answer: JobLease };
  /** Let an assistant work in the org: its agent is made, if there is none of the key, and its graph activated; again, it is brought up to date. */
  InstallAssistant: { request: InstallAssistant; answer: Installed };
  /** Tell what a token is worth: the caller's own, one for the caller's org, and to services of the mesh any. */
  IntrospectToken: { request: IntrospectToken; answer: Introspection };
  /** Invite somebody into the org; the token is shown this once. */
  InviteMember: { request: InviteMember; answer: Invitation };
  /** Get a ticket for a live connection from a page of another origin, whose sockets carry neither token nor cookie. */
  IssueLiveTicket: { request: IssueLiveTicket; answer: LiveTicket };
  /** Take part in a channel of the org, in what one was invited to, or what a grant of `messaging:write` opens. */
  JoinConversation: { request: JoinConversation; answer: Conversation };
  /** Keep what the caller is about to say, for its other devices; it replaces what was kept. */
  KeepMessageDraft: { request: KeepMessageDraft; answer: MessageDraft };
  /** Take part no more, or decline an invitation. */
  LeaveConversation: { request: LeaveConversation; answer: null };
  /** Leave an org of the caller's, as if taken out of it: with one's keys, grants and own secrets. */
  LeaveOrg: { request: LeaveOrg; answer: null };
  /** Say what the org's API keys may do at the most, from within a minute on; null lifts the limit. */
  LimitKeys: { request: LimitKeys; answer: OrgSettings };
  /** List the accounts of the mesh, the newest first, or the one of an address. */
  ListAccounts: { request: ListAccounts; answer: AccountPage };
  /** List which version each environment uses. */
  ListActivations: { request: ListActivations; answer: ActivationPage };
  /** List the agents of the org by key: all, those of a name, of a kind or in a unit. */
  ListAgents: { request: ListAgents; answer: AgentPage };
  /** List the caller's standing approvals, the newest first; everybody's for who manages access. */
  ListApprovals: { request: ListApprovals; answer: StandingApprovalPage };
  /** List the files of the org that the caller may see, newest first. */
  ListArtifacts: { request: ListArtifacts; answer: ArtifactPage };
  /** List the asks that the caller may answer, or might have, the newest first. */
  ListAsks: { request: ListAsks; answer: AskPage };
  /** List what was done in the org, newest first: everything, what somebody did, or one action. */
  ListAudit: { request: ListAudit; answer: AuditRecordPage };
  /** List the change sets of the org that the caller may see, newest first. */
  ListChangeSets: { request: ListChangeSets; answer: ChangeSetPage };
  /** List the changes of a set in their order; a page ends early when they are long. */
  ListChanges: { request: ListChanges; answer: ChangePage };
  /** List the channels that are open to the org, by name; `name`: how it begins. */
  ListChannels: { request: ListChannels; answer: ConversationPage };
  /** List the conversations that the caller takes part in or is invited to, those where something happened last first. */
  ListConversations: { request: ListConversations; answer: MyConversationPage };
  /** List an agent's credentials on one page, oldest first; their secrets are not known. */
  ListCredentials: { request: ListCredentials; answer: CredentialPage };
  /** List what a version uses, by type and key. */
  ListDependencies: { request: ListDependencies; answer: DependencyPage };
  /** List the org's versions that use a resource and are the latest of theirs, or active somewhere. */
  ListDependents: { request: ListDependents; answer: DependencyPage };
  /** List the grants of the org, oldest first: all, or those that name a principal or a unit. */
  ListGrants: { request: ListGrants; answer: GrantPage };
  /** List the handoffs that wait for somebody like the caller, or those that it has claimed; or all of a conversation. */
  ListHandoffs: { request: ListHandoffs; answer: HandoffPage };
  /** List the open invitations of the org, oldest first. */
  ListInvitations: { request: ListInvitations; answer: OpenInvitationPage };
  /** List the caller's keys, or with `everyones` those of the org for whoever manages its members. */
  ListKeys: { request: ListKeys; answer: ApiKeyPage };
  /** List the mails of a development mesh that has no mail server, the newest first. */
  ListMails: { request: ListMails; answer: MailPage };
  /** List how far those who take part have read, by id. */
  ListMarks: { request: ListMarks; answer: ReadMarkPage };
  /** List the members of the org. */
  ListMembers: { request: ListMembers; answer: MemberPage };
  /** List what a message said before it was edited, on one page, the oldest first; nothing of one that was deleted. */
  ListMessageRevisions: { request: ListMessageRevisions; answer: MessageRevisionPage };
  /** List the messages of a conversation, newest first; or those after a number, oldest first; or those around one, oldest first. */
  ListMessages: { request: ListMessages; answer: MessagePage };
  /** List every time that an environment went to another version, newest first. */
  ListMoves: { request: ListMoves; answer: MovePage };
  /** List who takes part in a conversation or is invited to, by id; those who manage it see who is banned too. */
  ListParticipants: { request: ListParticipants; answer: ParticipantPage };
  /** List who of those in a conversation is about, on one page. */
  ListPresence: { request: ListPresence; answer: PresencePage };
  /** List the keys of the org's publishers, newest first. */
  ListPublisherKeys: { request: ListPublisherKeys; answer: PublisherKeyPage };
  /** List the quotas of the org with what is used of them: all, or those of a unit, principal or key. */
  ListQuotas: { request: ListQuotas; answer: QuotaPage };
  /** List the resources that the caller may see, its org's and public ones, by key. */
  ListResources: { request: ListResources; answer: ResourcePage };
  /** List the roles that members of the org can have, on one page: those of every org, then its own by key. */
  ListRoles: { request: ListRoles; answer: OrgRolePage };
  /** List what the steps of a run have said, in the order in which they did. */
  ListRunLog: { request: ListRunLog; answer: LogLinePage };
  /** List the org's runs, newest first: those for which everything holds that is asked for. */
  ListRuns: { request: ListRuns; answer: RunPage };
  /** List the org's secrets and the caller's own, without their values, oldest first. */
  ListSecrets: { request: ListSecrets; answer: SecretPage };
  /** List the caller's open sessions, the newest first. */
  ListSessions: { request: ListSessions; answer: OpenSessionPage };
  /** List who vouches for a version; everybody who may read it can check that. */
  ListSignatures: { request: ListSignatures; answer: SignaturePage };
  /** List the org's effective triggers, oldest first: all, those of a graph, of a kind, or in an environment. */
  ListTriggers: { request: ListTriggers; answer: TriggerPage };
  /** List the units of the org by key: all, those of a kind, or the parts of one. */
  ListUnits: { request: ListUnits; answer: UnitPage };
  /** List the versions of a resource, newest first. */
  ListVersions: { request: ListVersions; answer: VersionSummaryPage };
  /** Make the secret that the webhook of the caller's notifications is signed with; its value is shown this once. */
  MakeNotificationSecret: { request: MakeNotificationSecret; answer: NotificationSecret };
  /** Say how far the caller has read, or what has reached it; it never goes back. */
  MarkConversation: { request: MarkConversation; answer: ReadMark };
  /** Bring an open run to the version of its graph that is active, where all that it has done holds under that one too. */
  MigrateRun: { request: MigrateRun; answer: Migration };
  /** Replace the caller's recovery codes. */
  NewRecoveryCodes: { request: NewRecoveryCodes; answer: RecoveryCodes };
  /** Sign in with cookies instead of tokens in the answer. */
  OpenBrowserSession: { request: OpenBrowserSession; answer: BrowserSession };
  /** Read the conversation of the caller and somebody else; it is begun when there is none: there is one for each pair. */
  OpenDirect: { request: OpenDirect; answer: Conversation };
  /** Open the caller's own sealed secret for a while, so that services may use it for the caller. */
  OpenSecret: { request: OpenSecret; answer: Secret };
  /** Begin no further step of a run; what is at work ends and counts. */
  PauseRun: { request: PauseRun; answer: Run };
  /** Keep a trigger from firing, also under later versions, until it is resumed. */
  PauseTrigger: { request: PauseTrigger; answer: Trigger };
  /** Pin a message for everybody in the conversation, or take the pin off. */
  PinMessage: { request: PinMessage; answer: Message };
  /** Say what a set would do now, or be refused as its application would be. */
  PlanChangeSet: { request: PlanChangeSet; answer: Plan };
  /** Say something in a conversation that the caller takes part in. */
  PostMessage: { request: PostMessage; answer: Posted };
  /** Finish signing in with cookies by a code of the second factor. */
  ProveBrowserSession: { request: ProveBrowserSession; answer: BrowserSession };
  /** Publish the draft as an immutable version. */
  PublishVersion: { request: PublishVersion; answer: Version };
  /** Read what one device of the caller missed, in the conversations that it takes part in: the 2,000 where something happened last. */
  PullMissed: { request: PullMissed; answer: Missed };
  /** Replace the draft, with `type` of one of that type alone. */
  PutDraft: { request: PutDraft; answer: Draft };
  /** Store one part (numbered from 0). */
  PutPart: { request: PutPart; answer: Part };
  /** Read what a run tells of itself: the last value of each name that its `status` steps have told. */
  QueryRun: { request: QueryRun; answer: RunStatuses };
  /** Answer a message with a sign, or take it back. */
  ReactToMessage: { request: ReactToMessage; answer: Message };
  /** Trade a refresh token for a new one and a new access token. */
  Refresh: { request: Refresh; answer: Session };
  /** Renew the cookies with the refresh cookie. */
  RefreshBrowserSession: { request: RefreshBrowserSession; answer: BrowserSession };
  /** Take a deprecation back. */
  Reinstate: { request: Reinstate; answer: Resource };
  /** Take a member out of the org, with its keys and grants. */
  RemoveMember: { request: RemoveMember; answer: null };
  /** Remove somebody from a conversation, or take an invitation or a ban back: what they watch of it ends at once. */
  RemoveParticipant: { request: RemoveParticipant; answer: null };
  /** Lift a quota; an imposed one is lifted by who administers the mesh. */
  RemoveQuota: { request: RemoveQuota; answer: null };
  /** Remove the caller's second factor with its recovery codes. */
  RemoveTotp: { request: RemoveTotp; answer: null };
  /** Give the org another name. */
  RenameOrg: { request: RenameOrg; answer: OrgSettings };
  /** Give a unit another name. */
  RenameUnit: { request: RenameUnit; answer: Unit };
  /** Say whether owners, admins and whoever else may do more than a member need a second factor to act in the org at all. */
  RequireSecondFactor: { request: RequireSecondFactor; answer: OrgSettings };
  /** Start a run that does a step of an ended run anew, and all that lies behind it. */
  RerunRun: { request: RerunRun; answer: Run };
  /** Set a new password with the token of a link, once. */
  ResetPassword: { request: ResetPassword; answer: null };
  /** Read the version that an environment uses: the org's own resource first, then the mesh's public one. */
  ResolveResource: { request: ResolveResource; answer: Version };
  /** Propose a set that leads back to a moment, for owners and admins. */
  RestoreMoment: { request: RestoreMoment; answer: ChangeSet };
  /** Let a suspended account sign in again. */
  ResumeAccount: { request: ResumeAccount; answer: Account };
  /** Let a suspended agent act again, with the credentials that it had. */
  ResumeAgent: { request: ResumeAgent; answer: Agent };
  /** Let a paused run go on where it was. */
  ResumeRun: { request: ResumeRun; answer: Run };
  /** Let a paused trigger fire again. */
  ResumeTrigger: { request: ResumeTrigger; answer: Trigger };
  /** Start a run that does once more what failed in a run, or was not reached by it: what succeeded is taken over. */
  RetryRun: { request: RetryRun; answer: Run };
  /** Give a claimed conversation back to whom it came from: for whoever claimed it, and for who manages the conversation. */
  ReturnHandoff: { request: ReturnHandoff; answer: Handoff };
  /** Approve or reject an open set of somebody else. */
  ReviewChangeSet: { request: ReviewChangeSet; answer: ChangeSet };
  /** Let a standing approval stand no longer: the caller's, or anybody's for who manages access. */
  RevokeApproval: { request: RevokeApproval; answer: null };
  /** End one credential of an agent, and the tokens that the agent has. */
  RevokeCredential: { request: RevokeCredential; answer: null };
  /** End a key and its tokens: one's own, or anybody's for whoever manages members. */
  RevokeKey: { request: RevokeKey; answer: null };
  /** Let a key of one's own, or as an owner or admin any, count no longer; its signatures are told as revoked. */
  RevokePublisherKey: { request: RevokePublisherKey; answer: null };
  /** End a token that the caller holds: a refresh token or a user's access token with its session, an agent's, an API key. */
  RevokeToken: { request: RevokeToken; answer: Revoked };
  /** Give an agent a new secret, shown this once; those it has hold for the overlap, and no longer than they did. */
  RotateCredential: { request: RotateCredential; answer: AgentCredential };
  /** Give a webhook a new token, shown this once; the one that it has holds for the overlap. */
  RotateHookToken: { request: RotateHookToken; answer: HookToken };
  /** Give one's own key a new secret, shown this once; the old one holds for the overlap; without any, its tokens end, too. */
  RotateKey: { request: RotateKey; answer: NewKey };
  /** Give a secret another value; leases from now on are of that one. */
  RotateSecret: { request: RotateSecret; answer: Secret };
  /** Tell those who share a conversation with the caller how it is about. */
  SayPresence: { request: SayPresence; answer: Presence };
  /** Tell those who follow a conversation that the caller is typing, or is not any more. */
  SayTyping: { request: SayTyping; answer: null };
  /** Find messages by words in the conversations that the caller takes part in, or in one that it may see, newest first. */
  SearchMessages: { request: SearchMessages; answer: FoundMessagePage };
  /** Find resources that the caller may see: every word of `text` begins a word of theirs, the best fit first. */
  SearchResources: { request: SearchResources; answer: ResourcePage };
  /** Say what the caller is told of, and how. */
  SetNotificationPreferences: { request: SetNotificationPreferences; answer: NotificationPreferences };
  /** Bound what a subject may use of something in a period, or change that bound; what was used stays counted. */
  SetQuota: { request: SetQuota; answer: Quota };
  /** Say how long the org's ended runs are kept, instead of the mesh's settings; null: as these say. */
  SetRunRetention: { request: SetRunRetention; answer: RunRetention };
  /** Read what is asked by a link; that does not use it up. */
  ShowAskLink: { request: ShowAskLink; answer: AskSheet };
  /** Open a session with e-mail and password, in one of the user's orgs. */
  SignIn: { request: SignIn; answer: Session };
  /** Give an agent or a service an access token for its client credentials. */
  SignInClient: { request: SignInClient; answer: AccessToken };
  /** Open the session that a sign-in with a password prepared, with a code or a recovery code. */
  SignInSecondFactor: { request: SignInSecondFactor; answer: Session };
  /** End the caller's session: its tokens are refused everywhere. */
  SignOut: { request: SignOut; answer: null };
  /** Create an account, with an org of its own or in the org that an invitation names. */
  SignUp: { request: SignUp; answer: Session };
  /** Vouch for a version of the org with a key of one's own. */
  SignVersion: { request: SignVersion; answer: Signature };
  /** Give a run a signal: to the step that waits for its name, else it waits for one, in order and up to a bound. */
  SignalRun: { request: SignalRun; answer: Signalled };
  /** Start a run of the version of a graph that is active, as the caller or as an agent of the org. */
  StartRun: { request: StartRun; answer: Run };
  /** Start a run of one graph for each input: all that fit in one commit, and each of the others says what is wrong. */
  StartRuns: { request: StartRuns; answer: Batch };
  /** Suspend an account: its sessions end and it cannot sign in. */
  SuspendAccount: { request: SuspendAccount; answer: Account };
  /** Keep an agent from acting: its tokens end, and its credentials and keys give none until it is resumed. */
  SuspendAgent: { request: SuspendAgent; answer: Agent };
  /** Get an access token of the same session for another org of the caller. */
  SwitchOrg: { request: SwitchOrg; answer: AccessToken };
  /** Take a grant back. */
  TakeGrant: { request: TakeGrant; answer: null };
  /** Tell that something has happened outside: it becomes the event `runtime.event_told`. */
  TellEvent: { request: TellEvent; answer: ToldEvent };
  /** Give an agent, an application or a service an access token for its client credentials, narrowed to `scope`. */
  TradeCredentials: { request: TradeCredentials; answer: OAuthToken };
  /** Make everything that an applied set changed as it was before, or nothing of it. */
  UndoChangeSet: { request: UndoChangeSet; answer: ChangeSet };
  /** Give an agent another name, unit or limit; what is left out stays. */
  UpdateAgent: { request: UpdateAgent; answer: Agent };
  /** Change the name or the scopes of a role of the org's own. */
  UpdateRole: { request: UpdateRole; answer: OrgRole };
  /** Rename a secret, or say anew which services get it (none, if `used_by` is empty) and for which hosts. */
  UpdateSecret: { request: UpdateSecret; answer: Secret };
  /** Store the body as a file in one request; it is streamed, never held whole. */
  UploadArtifact: { request: UploadArtifact; answer: Artifact };
  /** Verify the org's audit log, a bounded part at a time, and name the first record that is not as it was written. */
  VerifyAudit: { request: VerifyAudit; answer: AuditState };
  /** Read a conversation with its newest messages, or what came after an entry: the authorised start of a live subscription. */
  WatchConversation: { request: WatchConversation; answer: ConversationSnapshot };
  /** Read which conversations the caller takes part in or is invited to, the 1,000 latest: the authorised start of following that. */
  WatchParticipations: { request: WatchParticipations; answer: ParticipationsSnapshot };
  /** Read who of those in the caller's latest conversations is about: the authorised start of following that. */
  WatchPresence: { request: WatchPresence; answer: PresenceSnapshot };
  /** Read a run with its steps, or what came after a transition: the authorised start of a live subscription. */
  WatchRun: { request: WatchRun; answer: RunSnapshot };
  /** Let an approved grant wait for approval again, whoever approved it. */
  WithdrawApproval: { request: WithdrawApproval; answer: Grant };
  /** Drop a set that was not applied: one's own, or any as an owner or admin. */
  WithdrawChangeSet: { request: WithdrawChangeSet; answer: null };
  /** Take an open invitation back. */
  WithdrawInvitation: { request: WithdrawInvitation; answer: null };
}

export interface Streams {
  /** Read a file's bytes as a stream: all, or those of a range, as many of them as there are. */
  DownloadArtifact: { request: DownloadArtifact; answer: Uint8Array };
  /** Read the org's whole audit log, oldest first, a record a line. */
  ExportAudit: { request: ExportAudit; answer: AuditRecord };
  /** Read all that is kept of a conversation, one entry after another: for its owners and admins, and for either of two. */
  ExportConversation: { request: ExportConversation; answer: Entry };
  /** Read the org's resources that the caller may see as the changes that make them, by type and key, as of one moment. */
  ExportResources: { request: ExportResources; answer: Change };
}

/** What may be called over the live socket, too. */
export type OnSocket =
  | "AbandonStream"
  | "AnswerAsk"
  | "BeginStream"
  | "CancelRun"
  | "ContinueStream"
  | "ControlConversation"
  | "DeleteMessage"
  | "EditMessage"
  | "EndStream"
  | "KeepMessageDraft"
  | "MarkConversation"
  | "PauseRun"
  | "PostMessage"
  | "ReactToMessage"
  | "ResumeRun"
  | "SayPresence"
  | "SayTyping"
  | "SignalRun";

export interface Topics {
  [topic: `run/${string}`]: { snapshot: RunSnapshot; change: Transition | RunLogChange };
  [topic: `conversation/${string}`]: { snapshot: ConversationSnapshot; change: ConversationChange };
  "conversations": { snapshot: ParticipationsSnapshot; change: ParticipationChange };
  "asks": { snapshot: InboxSnapshot; change: InboxChange };
  "presence": { snapshot: PresenceSnapshot; change: PresenceChange };
  "org": { snapshot: OrgSnapshot; change: OrgEvent };
  [topic: `agent/${string}`]: { snapshot: OrgSnapshot; change: OrgEvent };
}

export type AnyProblem =
  | AccountNotFound
  | AddresseeRefused
  | AdministratorLinkUsed
  | AgentKeyTaken
  | AgentNotFound
  | AgentNumberTaken
  | AgentTalkBound
  | AgentUnknown
  | AlreadyVoted
  | AnswerInvalid
  | ApprovalNotFound
  | ArtifactNotFound
  | AskEnded
  | AskLinkRefused
  | AskNotFound
  | AssistantInvalid
  | AssistantNotFound
  | AttachmentRefused
  | BannedFromConversation
  | BreaksGraphs
  | ChangeSetNotFound
  | ChangeSetState
  | ChangeSetTooLarge
  | ChangedSince
  | CodeNeeded
  | ConfirmationNeeded
  | ConfirmationRefused
  | ContentInvalid
  | ConversationArchived
  | ConversationFull
  | ConversationNotFound
  | CredentialNotFound
  | DeadlineExceeded
  | DependencyGone
  | DirectConversation
  | EmailTaken
  | Forbidden
  | ForeignResource
  | GrantNotFound
  | GraphInvalid
  | GraphNotFound
  | HandoffEnded
  | HandoffNotFound
  | HandoffWaits
  | HolderNotFound
  | HookRefused
  | HookUnknown
  | InFlight
  | InUse
  | InputInvalid
  | Internal
  | Invalid
  | InvalidClient
  | InvalidRequest
  | InvalidScope
  | InvitationNotFound
  | JobLost
  | JobNotFound
  | KeyNotFound
  | KeyReused
  | KeyTaken
  | LastAdministrator
  | LastOwner
  | LengthRequired
  | MailsAreSent
  | Malformed
  | MemberNotFound
  | MessageDeleted
  | MessageDraftNotFound
  | MessageNotFound
  | MethodNotAllowed
  | MutedInConversation
  | NoApprovalAwaited
  | NoOutputYet
  | NoToken
  | NotActive
  | NotAddressed
  | NotApproved
  | NotFound
  | NotYourTurn
  | NotYoursToApprove
  | NothingFailed
  | NothingIsSaid
  | NothingToConfirm
  | OrgNotFound
  | OverQuota
  | Overloaded
  | OwnAccount
  | ParticipantNotFound
  | PlanOutdated
  | PreconditionFailed
  | PrincipalNotFound
  | PublisherKeyNotFound
  | PublisherKeyTaken
  | QuotaExceeded
  | QuotaNotFound
  | RangeOutside
  | RecipientUnknown
  | RefreshRefused
  | RemovedSince
  | ResetLinkUsed
  | ResourceNotFound
  | RevisionConflict
  | RoleInUse
  | RoleNotFound
  | RoleTaken
  | RunEnded
  | RunIncompatible
  | RunNotFound
  | RunOpen
  | SecondFactorMissing
  | SecondFactorRequired
  | SecretClosed
  | SecretNameTaken
  | SecretNotFound
  | SecretUnreadable
  | SessionNotFound
  | SignUpClosed
  | SignatureInvalid
  | StaleCursor
  | StepUnknown
  | StepUpRequired
  | StreamIncomplete
  | StreamNotFound
  | StreamPaused
  | SubjectNotFound
  | TooLarge
  | TooManyApprovals
  | TooManyAskLinks
  | TooManyChildren
  | TooManyCredentials
  | TooManyGrants
  | TooManyKeys
  | TooManyRoles
  | TooManySecrets
  | TotpActive
  | TotpNotFound
  | TriggerNotFound
  | TurnNotFound
  | Unauthenticated
  | Unavailable
  | UnitInUse
  | UnitKeyTaken
  | UnitMisplaced
  | UnitNotFound
  | UnsupportedGrantType
  | UnsupportedMedia
  | UnsupportedTokenType
  | UploadIncomplete
  | UploadNotFound
  | VersionNotFound
  | WrongCredentials
  | WrongPassphrase
  | WrongProof;
