package io.atoll.expert.batch;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntPredicate;

/// The rows of a batch, where each of them comes from, and its routes; and, for some of the rows at a time, those routes sorted by expert.
///
/// A row's routes lie next to each other. The arrays grow to the largest batch seen. Owned by one thread while it is filled; read by
/// several while they compute.
final class Routes {
    /// Rows of one `add`. Reused from batch to batch.
    static final class Job {
        MemorySegment x = MemorySegment.NULL;
        MemorySegment scales = MemorySegment.NULL;
        boolean floats;
        MemorySegment sums = MemorySegment.NULL;
        volatile boolean failed;

        private void release() {
            x = MemorySegment.NULL;
            scales = MemorySegment.NULL;
            sums = MemorySegment.NULL;
        }
    }

    private int jobs;
    private Job[] jobList = new Job[0];
    private int rows;
    private int[] rowJob = new int[64];
    private int[] rowInJob = new int[64];
    private int[] rowRoutes = new int[65]; // first route of each row, and the end
    private int routes;
    private int[] routeExpert = new int[256];
    private float[] routeWeight = new float[256];
    private int[] routeRow = new int[256];
    private int[] routePosition = new int[256]; // place among the sorted routes

    // Of the rows that were sorted last.
    private final int[] next; // [experts], routes of each expert, then their next place
    private final int[] segmentExpert; // [experts], the experts that have routes, ascending
    private final int[] segmentBegin; // [experts + 1], their first position
    private int segments;
    private int[] positionRoute = new int[256];

    Routes(int experts) {
        next = new int[experts];
        segmentExpert = new int[experts];
        segmentBegin = new int[experts + 1];
    }

    /// Forgets the batch.
    void clear() {
        jobs = 0;
        rows = 0;
        routes = 0;
    }

    /// Lets go of the callers' memory.
    void release() {
        for (int i = 0; i < jobs; i++) {
            jobList[i].release();
        }
    }

    /// @return the number of the new job
    int addJob(MemorySegment x, MemorySegment scales, boolean floats, MemorySegment sums) {
        if (jobs == jobList.length) {
            jobList = Arrays.copyOf(jobList, 2 * jobs + 4);
            for (int i = jobs; i < jobList.length; i++) {
                jobList[i] = new Job();
            }
        }
        Job job = jobList[jobs];
        job.x = x;
        job.scales = scales;
        job.floats = floats;
        job.sums = sums;
        job.failed = false;
        return jobs++;
    }

    /// Adds a row of a job with the routes `begin` to `end - 1` of two arrays.
    ///
    /// @param included the experts whose routes count
    void addRow(
            int job,
            int row,
            int begin,
            int end,
            MemorySegment ids,
            MemorySegment weights,
            IntPredicate included) {
        if (rows + 1 == rowRoutes.length) {
            rowJob = Arrays.copyOf(rowJob, 2 * rows + 2);
            rowInJob = Arrays.copyOf(rowInJob, 2 * rows + 2);
            rowRoutes = Arrays.copyOf(rowRoutes, 2 * rows + 3);
        }
        if (routes + end - begin > routeExpert.length) {
            int size = 2 * (routes + end - begin);
            routeExpert = Arrays.copyOf(routeExpert, size);
            routeWeight = Arrays.copyOf(routeWeight, size);
            routeRow = Arrays.copyOf(routeRow, size);
            routePosition = Arrays.copyOf(routePosition, size);
        }
        for (int i = begin; i < end; i++) {
            int expert = ids.getAtIndex(JAVA_INT, i);
            if (!included.test(expert)) {
                continue;
            }
            routeExpert[routes] = expert;
            routeWeight[routes] = weights.getAtIndex(JAVA_FLOAT, i);
            routeRow[routes] = rows;
            routes++;
        }
        rowJob[rows] = job;
        rowInJob[rows] = row;
        rows++;
        rowRoutes[rows] = routes;
    }

    /// A counting sort of the routes of some rows by expert.
    void sort(int firstRow, int endRow) {
        int first = rowRoutes[firstRow];
        int end = rowRoutes[endRow];
        Arrays.fill(next, 0);
        for (int i = first; i < end; i++) {
            next[routeExpert[i]]++;
        }
        segments = 0;
        int position = 0;
        for (int expert = 0; expert < next.length; expert++) {
            int count = next[expert];
            if (count > 0) {
                segmentExpert[segments] = expert;
                segmentBegin[segments] = position;
                segments++;
                next[expert] = position;
                position += count;
            }
        }
        segmentBegin[segments] = position;
        if (positionRoute.length < position) {
            positionRoute = new int[2 * position];
        }
        for (int i = first; i < end; i++) {
            int at = next[routeExpert[i]]++;
            routePosition[i] = at;
            positionRoute[at] = i;
        }
    }

    int rows() {
        return rows;
    }

    Job job(int number) {
        return jobList[number];
    }

    Job jobOf(int row) {
        return jobList[rowJob[row]];
    }

    /// A row's number in its job.
    int inJob(int row) {
        return rowInJob[row];
    }

    /// First route of a row; that of the row behind the last is the end.
    int firstRoute(int row) {
        return rowRoutes[row];
    }

    /// Place of a route among those sorted.
    int position(int route) {
        return routePosition[route];
    }

    /// Experts that have routes among those sorted.
    int segments() {
        return segments;
    }

    int expert(int segment) {
        return segmentExpert[segment];
    }

    /// First position of a segment; that of the segment behind the last is the end.
    int begin(int segment) {
        return segmentBegin[segment];
    }

    int rowAt(int position) {
        return routeRow[positionRoute[position]];
    }

    float weightAt(int position) {
        return routeWeight[positionRoute[position]];
    }
}
