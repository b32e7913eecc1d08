package io.atoll.coordinator.cluster;

import io.atoll.cluster.placement.ExpertHeat;
import io.atoll.cluster.placement.ExpertShard;
import io.atoll.cluster.placement.ExpertShard.LayerRange;
import io.atoll.cluster.placement.ExpertSizes;
import io.atoll.cluster.placement.Reconciler;
import io.atoll.cluster.placement.Reconciler.Life;
import io.atoll.coordinator.cluster.ClusterSettings.WorkerAddress;
import io.atoll.proto.v1.WorkerDescription;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Keeps what expert workers hold as it should be: repairs, moves, drains.
///
/// What a worker should hold is what the table says that outlives coordinators, else what it held when it was first seen, until an
/// operator or a rebalance says otherwise. From there [Reconciler] says what to do: what is wanted is loaded, copies of a lost
/// worker are made elsewhere and released when it is back, and a worker that drains is left by everything. Changes are made a few
/// experts at a time, one change a worker.
///
/// Workers may join and leave. Of several coordinators one looks after them, and the others stand by.
///
/// A thread of its own asks and decides, calls to workers run on others.
public final class ClusterControl implements AutoCloseable {
    /// Experts of one change: what attention workers hear of at a time, and how much is lost when one fails.
    private static final int CHUNK = 64;

    private static final Duration ASK_LIMIT = Duration.ofSeconds(2);
    private static final Duration CHANGE_LIMIT = Duration.ofMinutes(5);
    private static final Duration RETRY_AFTER = Duration.ofSeconds(10);

    /// A worker that has never answered may be loading for this long.
    private static final Duration ASSEMBLY_LIMIT = Duration.ofMinutes(15);

    /// A change that takes longer is worth a look.
    private static final Duration STUCK_AFTER = Duration.ofSeconds(60);

    private static final Logger LOG = LoggerFactory.getLogger(ClusterControl.class);

    private final ClusterSettings settings;
    private final ClusterMembers members;
    private final PlacementTable table;
    private final ClusterEvents events = new ClusterEvents(Clock.systemUTC());
    private final ExecutorService calls;
    private final Thread thread;

    private volatile long
            epoch; // of this coordinator, once it leads; workers refuse lower ones than they have
    // heard

    // The loop's own.
    private final Map<String, String> kept = new HashMap<>(); // what the table should say
    private Map<String, String> written = Map.of(); // and what it says
    private String tableFailure = ""; // and why it says nothing newer

    // Guarded by this.
    private final List<WorkerRecord> workers = new ArrayList<>();
    private boolean leading;
    private long leadsSinceNanos;
    private boolean closed;
    private boolean woken;
    private int homeless;
    private boolean settled;
    private boolean saidUnsettled;

    public ClusterControl(ClusterSettings settings) {
        this.settings = settings;
        members = settings.members();
        table = settings.table();
        calls =
                Executors.newThreadPerTaskExecutor(
                        Thread.ofVirtual().name("cluster-call-", 0).factory());
        thread = Thread.ofPlatform().name("cluster-control").daemon().unstarted(this::loop);
    }

    /// Starts to ask, if this coordinator leads; when it does, otherwise.
    public void start() {
        members.onChange(this::wake);
        if (lead()) { // now, so that whoever asks next is answered
            synchronized (this) {
                follow(members.expertWorkers());
            }
        }
        thread.start();
    }

    public ClusterEvents events() {
        return events;
    }

    /// Every process that has joined; none where nobody can.
    public List<ClusterMembers.Node> members() {
        return members.nodes();
    }

    /// Whom this coordinator stands by for, in words; empty if it leads.
    public synchronized Optional<String> standsByFor() {
        return leading
                ? Optional.empty()
                : Optional.of(members.leader().orElse("one that is not known yet"));
    }

    private void loop() {
        try {
            do {
                try {
                    turn();
                } catch (RuntimeException e) {
                    // A bug must not end the care for the cluster: the next turn looks anew.
                    LOG.error("a turn of the cluster control failed", e);
                }
            } while (awaitTurn());
        } catch (InterruptedException _) {
            // closed
        }
    }

    private void turn() throws InterruptedException {
        if (!lead()) {
            return;
        }
        synchronized (this) {
            follow(members.expertWorkers());
        }
        askAll();
        synchronized (this) {
            decide();
        }
        keep();
    }

    /// Begins or ceases to lead.
    private boolean lead() {
        boolean now = members.isLeading();
        if (now && !leading) {
            try {
                epoch = members.nextEpoch();
                written = Map.copyOf(table.read());
                kept.clear();
                kept.putAll(written);
            } catch (IOException e) {
                complain("cannot begin to lead", e);
                return false;
            }
            tableFailure = "";
            synchronized (this) {
                leading = true;
                leadsSinceNanos = System.nanoTime();
            }
            events.add("leads", "", "this coordinator looks after the workers, epoch " + epoch);
        } else if (!now && leading) {
            synchronized (this) {
                leading = false;
                workers.forEach(worker -> worker.control.close());
                workers.clear(); // what they should hold is the next leader's business
            }
            events.add("stands-by", "", "for " + members.leader().orElse("nobody"));
        }
        return now;
    }

    /// Takes in who has joined, and forgets who has left and is not needed.
    private void follow(List<WorkerAddress> joined) {
        Map<String, WorkerAddress> listed = new LinkedHashMap<>();
        settings.workers().forEach(worker -> listed.put(worker.name(), worker));
        joined.forEach(worker -> listed.put(worker.name(), worker));
        for (WorkerRecord worker : List.copyOf(workers)) {
            WorkerAddress now = listed.remove(worker.name());
            worker.listed = now != null;
            if (now != null && !now.equals(worker.address)) {
                worker.moveTo(now, control(now));
                events.add("worker-moved", now.name(), "is at " + now);
            } else if (now == null && isOver(worker)) {
                workers.remove(worker);
                worker.control.close();
                kept.remove(worker.name());
                events.add("worker-retired", worker.name(), "has left, and nothing waits for it");
            }
        }
        for (WorkerAddress worker : listed.values()) {
            workers.add(new WorkerRecord(worker, control(worker), System.nanoTime()));
        }
    }

    /// Whether a worker that has left can be forgotten: it does not answer, and held nothing or was given up.
    private static boolean isOver(WorkerRecord worker) {
        return worker.life != Life.LIVE && (worker.held.isEmpty() || worker.life == Life.GONE);
    }

    private WorkerControl control(WorkerAddress worker) {
        return new WorkerControl(settings.clusterId(), () -> epoch, worker, settings.credentials());
    }

    /// Has the table say what should be held.
    private void keep() {
        synchronized (this) {
            workers.stream()
                    .filter(WorkerRecord::isKnown)
                    .forEach(worker -> kept.put(worker.name(), worker.kept()));
        }
        if (kept.equals(written)) {
            return;
        }
        try {
            table.write(kept);
            written = Map.copyOf(kept);
            tableFailure = "";
        } catch (IOException e) {
            complain("what workers should hold was not written down", e);
        }
    }

    private void complain(String what, IOException why) {
        if (!tableFailure.equals(why.getMessage())) {
            tableFailure = String.valueOf(why.getMessage());
            LOG.error("{}: {}", what, tableFailure);
            events.add("table-failed", "", what + ": " + tableFailure);
        }
    }

    private synchronized boolean awaitTurn() throws InterruptedException {
        long end = System.nanoTime() + settings.poll().toNanos();
        while (!closed && !woken) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                break;
            }
            wait(left);
        }
        woken = false;
        return !closed;
    }

    private synchronized void wake() {
        woken = true;
        settled = false; // until the next decision says so
        notifyAll();
    }

    private void askAll() throws InterruptedException {
        List<WorkerRecord> known;
        synchronized (this) {
            known = List.copyOf(workers);
        }
        List<Future<?>> asked = new ArrayList<>();
        for (WorkerRecord worker : known) {
            asked.add(calls.submit(() -> ask(worker)));
        }
        for (Future<?> each : asked) {
            try {
                each.get();
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }
    }

    private void ask(WorkerRecord worker) {
        try {
            WorkerDescription description = worker.control.describe(false, ASK_LIMIT);
            synchronized (this) {
                answered(worker, description);
            }
        } catch (ControlException e) {
            synchronized (this) {
                silent(worker, e.getMessage());
            }
        } catch (IllegalArgumentException e) {
            synchronized (this) {
                silent(worker, "its answer makes no sense: " + e.getMessage());
            }
        }
    }

    private void answered(WorkerRecord worker, WorkerDescription description) {
        Optional<String> stranger = stranger(worker, description);
        if (stranger.isPresent()) {
            silent(worker, stranger.get());
            return;
        }
        boolean first = !worker.isKnown();
        take(worker, description);
        worker.answeredNanos = System.nanoTime();
        if (first) {
            worker.wanted = worker.held;
            String before = kept.get(worker.name());
            if (before != null && worker.takeOver(before) && !worker.wanted.equals(worker.held)) {
                events.add(
                        "taken-over",
                        worker.name(),
                        "should hold %s, as before".formatted(worker.wanted));
            }
        }
        if (worker.life != Life.LIVE) {
            worker.life = Life.LIVE;
            worker.retryNanos = 0;
            events.add(
                    "worker-up",
                    worker.name(),
                    "holds %d experts, %s".formatted(worker.held.size(), worker.held));
        }
    }

    /// Why what answers at a worker's address is not that worker, if so.
    private Optional<String> stranger(WorkerRecord worker, WorkerDescription description) {
        if (!description.getName().equals(worker.name())) {
            return Optional.of(
                    "%s answers as '%s', the cluster file has '%s' there"
                            .formatted(worker.address, description.getName(), worker.name()));
        }
        for (WorkerRecord other : workers) {
            if (other != worker
                    && other.life == Life.LIVE
                    && other.isKnown()
                    && !other.description
                            .get()
                            .getModelDigest()
                            .equals(description.getModelDigest())) {
                return Optional.of(
                        "its model's digest is %s, that of %s is %s"
                                .formatted(
                                        description.getModelDigest(),
                                        other.name(),
                                        other.description.get().getModelDigest()));
            }
        }
        return Optional.empty();
    }

    private void take(WorkerRecord worker, WorkerDescription description) {
        worker.description = Optional.of(description);
        worker.held =
                ExpertShard.parse(
                        description.getHeld(), description.getLayers(), description.getExperts());
    }

    private void silent(WorkerRecord worker, String reason) {
        worker.reason = reason;
        if (worker.life == Life.LIVE) {
            worker.life = Life.AWAY;
            events.add("worker-away", worker.name(), reason);
        }
        if (worker.life == Life.AWAY
                && worker.isKnown()
                && System.nanoTime() - worker.answeredNanos >= settings.goneAfter().toNanos()) {
            worker.life = Life.GONE;
            events.add(
                    "worker-gone",
                    worker.name(),
                    "no answer for %d s: %s".formatted(settings.goneAfter().toSeconds(), reason));
        }
    }

    /// Starts what is to be done now.
    private void decide() {
        Optional<ExpertSizes> sizes = sizes();
        if (sizes.isEmpty() || isAssembling()) {
            return;
        }
        Reconciler.Plan plan = plan(sizes.get());
        boolean changing = workers.stream().anyMatch(WorkerRecord::isChanging);
        noteHomeless(plan.homeless());
        settled = plan.isSettled() && !changing;
        if (settled && saidUnsettled) {
            saidUnsettled = false;
            events.add("settled", "", "every worker holds what it should");
        } else if (!settled) {
            saidUnsettled = true;
        }
        long now = System.nanoTime();
        for (WorkerRecord worker : workers) {
            if (worker.isChanging() || worker.life != Life.LIVE || worker.isHeldBack(now)) {
                continue;
            }
            ExpertShard load = plan.loads().get(worker.name());
            ExpertShard release = plan.releases().get(worker.name());
            if (load != null) {
                begin(worker, "load", first(load, CHUNK));
            } else if (release != null) {
                begin(worker, "release", release);
            } else if (worker.draining && worker.held.isEmpty() && !worker.drained) {
                worker.drained = true;
                events.add("drained", worker.name(), "holds nothing any more and can be stopped");
            }
        }
    }

    /// Whether some worker has not been seen yet and may still be loading what it should hold: until then nothing is missing.
    private boolean isAssembling() {
        return System.nanoTime() - leadsSinceNanos < ASSEMBLY_LIMIT.toNanos()
                && workers.stream().anyMatch(worker -> !worker.isKnown());
    }

    private void noteHomeless(int now) {
        if (now != homeless && now > 0) {
            events.add(
                    "no-room",
                    "",
                    now + " experts lack a copy, and no worker that may take one has memory");
        }
        homeless = now;
    }

    private Reconciler.Plan plan(ExpertSizes sizes) {
        ExpertShard none = ExpertShard.none(sizes.layers(), sizes.experts());
        int streams = workers.stream().mapToInt(ClusterControl::streams).max().orElse(0);
        return Reconciler.plan(
                workers.stream()
                        .map(
                                worker ->
                                        new Reconciler.Node(
                                                worker.name(),
                                                worker.life,
                                                streams(worker) == streams,
                                                !worker.cordoned && worker.isKnown(),
                                                worker.draining,
                                                worker.isKnown() ? worker.held : none,
                                                worker.isKnown() ? worker.wanted : none,
                                                worker.memoryBytes()))
                        .toList(),
                settings.replication(),
                sizes);
    }

    /// Streams of attention workers to a worker. Each of them has one to every worker, so one that has fewer than another is not
    /// reached by all yet.
    private static int streams(WorkerRecord worker) {
        return worker.life == Life.LIVE
                ? worker.description.map(WorkerDescription::getStreams).orElse(0)
                : 0;
    }

    /// Bytes of experts, as the workers say; of layers of which none was ever held, as much as of the largest.
    private Optional<ExpertSizes> sizes() {
        List<WorkerDescription> known =
                workers.stream().flatMap(worker -> worker.description.stream()).toList();
        if (known.isEmpty()) {
            return Optional.empty();
        }
        WorkerDescription any = known.getFirst();
        List<Long> bytes = new ArrayList<>();
        for (int layer = 0; layer < any.getLayers(); layer++) {
            int index = layer;
            bytes.add(known.stream().mapToLong(each -> each.getExpertBytes(index)).max().orElse(0));
        }
        long largest = Math.max(1, bytes.stream().mapToLong(Long::longValue).max().orElse(1));
        bytes.replaceAll(each -> each == 0 ? largest : each);
        return Optional.of(new ExpertSizes(any.getExperts(), bytes));
    }

    /// The first experts of a shard, layer by layer.
    private static ExpertShard first(ExpertShard shard, int count) {
        List<LayerRange> ranges = new ArrayList<>();
        int left = count;
        for (LayerRange range : shard.ranges()) {
            if (left == 0) {
                break;
            }
            int last = Math.min(range.last(), range.first() + left - 1);
            ranges.add(new LayerRange(range.layer(), range.first(), last));
            left -= last - range.first() + 1;
        }
        return ExpertShard.of(shard.layers(), shard.experts(), ranges);
    }

    private void begin(WorkerRecord worker, String kind, ExpertShard experts) {
        worker.changing = kind;
        worker.changed = experts;
        worker.changeDone = 0;
        worker.changeNanos = System.nanoTime();
        calls.execute(
                () -> {
                    try {
                        WorkerDescription now =
                                kind.equals("load")
                                        ? worker.control.load(
                                                experts,
                                                CHANGE_LIMIT,
                                                done -> worker.changeDone = done)
                                        : worker.control.release(experts, CHANGE_LIMIT);
                        synchronized (this) {
                            take(worker, now);
                            ended(worker, Optional.empty());
                        }
                    } catch (ControlException e) {
                        synchronized (this) {
                            ended(worker, Optional.of(e.getMessage()));
                        }
                    }
                    wake();
                });
    }

    private void ended(WorkerRecord worker, Optional<String> failure) {
        String kind = worker.changing;
        worker.changing = "";
        worker.failure = failure.orElse("");
        worker.retryNanos = failure.isPresent() ? System.nanoTime() + RETRY_AFTER.toNanos() : 0;
        long millis = (System.nanoTime() - worker.changeNanos) / 1_000_000;
        events.add(
                failure.isPresent()
                        ? kind + "-failed"
                        : kind.equals("load") ? "loaded" : "released",
                worker.name(),
                "%d experts (%s) in %d ms%s"
                        .formatted(
                                worker.changed.size(),
                                worker.changed,
                                millis,
                                failure.map(why -> ": " + why).orElse("")));
    }

    /// The cluster now.
    public synchronized ClusterStatus status() {
        int layers = 0;
        int experts = 0;
        for (WorkerRecord worker : workers) {
            if (worker.isKnown()) {
                layers = worker.held.layers();
                experts = worker.held.experts();
            }
        }
        int[] soleCopies = new int[workers.size()];
        int without = 0;
        int below = 0;
        for (int layer = 0; layer < layers; layer++) {
            for (int expert = 0; expert < experts; expert++) {
                int copies = 0;
                int last = -1;
                for (int i = 0; i < workers.size(); i++) {
                    if (workers.get(i).life == Life.LIVE
                            && workers.get(i).held.holds(layer, expert)) {
                        copies++;
                        last = i;
                    }
                }
                without += copies == 0 ? 1 : 0;
                below += copies < settings.replication() ? 1 : 0;
                if (copies == 1) {
                    soleCopies[last]++;
                }
            }
        }
        long now = System.nanoTime();
        List<ClusterStatus.NodeStatus> nodes = new ArrayList<>();
        for (int i = 0; i < workers.size(); i++) {
            nodes.add(workers.get(i).status(soleCopies[i], now));
        }
        return new ClusterStatus(
                settings.clusterId(),
                epoch,
                leading ? Optional.empty() : standsByFor(),
                settings.replication(),
                layers,
                experts,
                without,
                below,
                settled,
                nodes,
                alarms(without, below, now));
    }

    private List<String> alarms(int without, int below, long now) {
        List<String> alarms = new ArrayList<>();
        for (WorkerRecord worker : workers) {
            if (worker.life != Life.LIVE) {
                alarms.add(
                        "%s (%s) does not answer: %s"
                                .formatted(worker.name(), worker.address, worker.reason));
            }
            if (!worker.failure.isEmpty()) {
                alarms.add(
                        "%s: the last change failed: %s".formatted(worker.name(), worker.failure));
            }
            if (worker.isChanging() && now - worker.changeNanos > STUCK_AFTER.toNanos()) {
                alarms.add(
                        "%s: a %s of %d experts has been under way for %d s"
                                .formatted(
                                        worker.name(),
                                        worker.changing,
                                        worker.changed.size(),
                                        (now - worker.changeNanos) / 1_000_000_000));
            }
        }
        if (without > 0) {
            alarms.add(without + " experts have no live copy: requests wait for them");
        } else if (below > 0) {
            alarms.add(
                    "%d experts have fewer than %d copies"
                            .formatted(below, settings.replication()));
        }
        if (homeless > 0) {
            alarms.add(homeless + " copies find no worker with memory for them");
        }
        return alarms;
    }

    private void requireLead() throws RefusedException {
        if (!leading) {
            throw new RefusedException(
                    "this coordinator stands by; ask the one that leads: "
                            + standsByFor().orElseThrow());
        }
    }

    private WorkerRecord worker(String name) throws RefusedException {
        requireLead();
        for (WorkerRecord worker : workers) {
            if (worker.name().equals(name)) {
                return worker;
            }
        }
        throw new RefusedException(
                "no expert worker is named '%s'; there are %s"
                        .formatted(name, workers.stream().map(WorkerRecord::name).toList()));
    }

    /// Moves everything off a worker, so that it can be stopped without a request noticing. Refused if the others have too little
    /// memory.
    public synchronized void drain(String name) throws RefusedException {
        WorkerRecord worker = worker(name);
        if (worker.draining) {
            return;
        }
        worker.draining = true;
        int lacking = sizes().map(this::plan).map(Reconciler.Plan::homeless).orElse(0);
        if (lacking > homeless) {
            worker.draining = false;
            throw new RefusedException(
                    "%s cannot be drained: the other workers lack the memory for %d of its experts"
                            .formatted(name, lacking));
        }
        worker.drained = false;
        events.add("drain", name, "its experts move to the other workers");
        wake();
    }

    /// Ends a drain: the worker gets back what it should hold.
    public synchronized void undrain(String name) throws RefusedException {
        WorkerRecord worker = worker(name);
        if (worker.draining) {
            worker.draining = false;
            worker.drained = false;
            events.add("undrain", name, "gets its experts back");
            wake();
        }
    }

    /// Keeps copies off a worker that nobody asked for by name.
    public synchronized void cordon(String name, boolean cordoned) throws RefusedException {
        WorkerRecord worker = worker(name);
        if (worker.cordoned != cordoned) {
            worker.cordoned = cordoned;
            events.add(
                    cordoned ? "cordon" : "uncordon",
                    name,
                    cordoned ? "takes no copies from others" : "takes copies again");
            wake();
        }
    }

    /// Moves experts from one worker to another.
    ///
    /// @param experts in the form of [ExpertShard]
    public synchronized void move(String experts, String from, String to) throws RefusedException {
        WorkerRecord source = worker(from);
        WorkerRecord target = worker(to);
        ExpertShard shard = shard(experts, target);
        if (source == target) {
            throw new RefusedException("from and to are the same worker: " + from);
        }
        ExpertShard lacking = shard.without(source.wanted);
        if (!lacking.isEmpty()) {
            throw new RefusedException("%s should not hold %s".formatted(from, lacking));
        }
        requireRoom(target, shard);
        target.wanted = target.wanted.plus(shard);
        source.wanted = source.wanted.without(shard);
        events.add("move", to, "%d experts (%s) from %s".formatted(shard.size(), shard, from));
        wake();
    }

    /// Puts further copies of experts on a worker.
    ///
    /// @param experts in the form of [ExpertShard]
    public synchronized void replicate(String experts, String to) throws RefusedException {
        WorkerRecord target = worker(to);
        ExpertShard shard = shard(experts, target);
        requireRoom(target, shard);
        target.wanted = target.wanted.plus(shard);
        events.add("replicate", to, "%d experts (%s)".formatted(shard.size(), shard));
        wake();
    }

    private ExpertShard shard(String experts, WorkerRecord target) throws RefusedException {
        if (target.life != Life.LIVE || target.draining) {
            throw new RefusedException(
                    "%s takes no experts: %s"
                            .formatted(
                                    target.name(),
                                    target.draining ? "it is being drained" : target.reason));
        }
        try {
            return ExpertShard.parse(experts, target.held.layers(), target.held.experts());
        } catch (IllegalArgumentException e) {
            throw new RefusedException("experts: " + e.getMessage());
        }
    }

    private void requireRoom(WorkerRecord target, ExpertShard more) throws RefusedException {
        ExpertSizes sizes = sizes().orElseThrow();
        long bytes = sizes.bytes(target.held.plus(target.wanted).plus(more));
        if (bytes > target.memoryBytes()) {
            throw new RefusedException(
                    "%s lacks memory: its experts would take %d bytes, and may take %d"
                            .formatted(target.name(), bytes, target.memoryBytes()));
        }
    }

    /// Plans a placement by what experts were used so far, and carries it out unless it is only to be shown. Workers that are not
    /// live, that drain or are cordoned are left as they are.
    public Rebalance rebalance(boolean dryRun) throws RefusedException {
        List<WorkerRecord> taking;
        synchronized (this) {
            requireLead();
            taking = workers.stream().filter(ClusterControl::isPlanned).toList();
            if (taking.isEmpty()) {
                throw new RefusedException("no live worker may take experts");
            }
        }
        long[][] routes = routes(taking); // without the lock: workers are asked
        synchronized (this) {
            if (!taking.stream().allMatch(ClusterControl::isPlanned)) {
                throw new RefusedException("a worker went away while it was asked; try again");
            }
            ExpertSizes sizes = sizes().orElseThrow();
            Rebalance rebalance =
                    Rebalance.plan(
                            taking,
                            sizes,
                            ExpertHeat.counted(routes, settings.expertsPerToken()),
                            settings.replication(),
                            !dryRun);
            if (!dryRun) {
                taking.forEach(worker -> worker.wanted = rebalance.then().get(worker.name()));
                events.add("rebalance", "", rebalance.toString());
                wake();
            }
            return rebalance;
        }
    }

    private static boolean isPlanned(WorkerRecord worker) {
        return worker.life == Life.LIVE && !worker.draining && !worker.cordoned;
    }

    private static long[][] routes(List<WorkerRecord> from) throws RefusedException {
        long[][] routes = new long[0][];
        for (WorkerRecord worker : from) {
            WorkerDescription description;
            try {
                description = worker.control.describe(true, ASK_LIMIT);
            } catch (ControlException e) {
                throw new RefusedException(worker.name() + ": " + e.getMessage());
            }
            int experts = description.getExperts();
            if (routes.length == 0) {
                routes = new long[description.getLayers()][experts];
            }
            for (int i = 0; i < description.getHeatCount(); i++) {
                routes[i / experts][i % experts] += description.getHeat(i);
            }
        }
        return routes;
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        thread.interrupt();
        synchronized (this) {
            workers.forEach(worker -> worker.control.close());
        }
        calls.shutdownNow();
        try {
            if (thread.isAlive()) {
                thread.join(Duration.ofSeconds(5));
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
