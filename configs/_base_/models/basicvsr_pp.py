# BasicVSR++ as mmagic has it, 7.3 M parameters. SPyNet's weights as for BasicVSR.
_base_ = ['basicvsr.py']

model = dict(generator=dict(type='BasicVSRPlusPlusNet', num_blocks=7))
