# PWC-Lite from scratch. Without normalised features nothing is learnt for a long time.
model = dict(
    type='UnsupervisedFlow',
    estimator=dict(type='PWCLite', normalize_features=True),
    data_preprocessor=dict(
        type='DataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]
    ),
)
