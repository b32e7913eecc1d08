package io.atoll.model.pack;

/// Is told how far a long operation has come. Called from several threads.
public interface PackProgress {
    /// Tells nobody.
    PackProgress NONE =
            new PackProgress() {
                @Override
                public void begin(String phase, long bytes) {
                    // Nobody asked.
                }

                @Override
                public void done(long bytes) {
                    // Nobody asked.
                }
            };

    /// A phase begins that will go through so many bytes.
    void begin(String phase, long bytes);

    /// So many more are done.
    void done(long bytes);
}
