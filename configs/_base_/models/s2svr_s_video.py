# A small S2SVR for people's own footage. Its flow is OpenCV's DIS, on frames enlarged twice:
# nothing to learn, and next to no time.
_base_ = ['s2svr_s.py']

model = dict(
    generator=dict(
        num_blocks=3,
        slim_heads=True,
        flow_input_size=2,
        flow_estimator=dict(_delete_=True, type='DISFlow'),
    )
)
